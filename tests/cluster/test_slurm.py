"""`cluster/slurm.sbatch`, run with recorders in the place of Slurm's commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dualgnn_dist
from dualgnn_dist.training.load import load

ROOT = Path(dualgnn_dist.__file__).parents[1]
CLUSTER = ROOT / "cluster"

# Each recorder writes its arguments down as JSON lines; `ray start` stays until it is ended, as `--block` does.
RECORDER = """#!{python}
import json, os, sys, time
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps([name, *words]) + "\\n")
if name == "scontrol":
    print("n1\\nn2\\nn3")
elif "hostname" in words:
    print("fe80::1 10.0.0.7 192.168.0.7")
elif "ray" in words:
    time.sleep(60)
elif "dualgnn_dist.train" in words:
    while open(os.environ["CALLS"]).read().count('"ray", "start"') < 3:
        time.sleep(0.01)  # on a busy machine the nodes' recorders may be slower than this one
    sys.exit(int(os.environ["TRAIN_ENDS_WITH"]))
"""


@pytest.fixture
def slurm(tmp_path: Path) -> Any:
    """Runs the script as Slurm would on three nodes, with recorders for its commands; returns exit code and calls."""
    stubs = tmp_path / "venv" / "bin"
    stubs.mkdir(parents=True)
    for name in ("srun", "scontrol"):
        (stubs / name).write_text(RECORDER.format(python=sys.executable))
        (stubs / name).chmod(0o755)
    (stubs / "activate").write_text(f"PATH={stubs}:{Path(sys.executable).parent}:$PATH\n")

    def run(*arguments: str, gpus: str | None = "4", ends_with: int = 0) -> tuple[int, list[list[str]], str]:
        calls = tmp_path / "calls"
        calls.write_text("")
        slurm_sets = {
            "SLURM_SUBMIT_DIR": str(tmp_path),
            "SLURM_JOB_ID": "42",
            "SLURM_JOB_NAME": "dualgnn",
            "SLURM_JOB_NODELIST": "n[1-3]",
            "SLURM_JOB_NUM_NODES": "3",
            "SLURM_CPUS_PER_TASK": "8",
        } | ({"SLURM_GPUS_ON_NODE": gpus} if gpus else {})
        environment = {"PATH": os.environ["PATH"], "VENV": str(tmp_path / "venv"), "CALLS": str(calls)}
        ended = subprocess.run(
            ["bash", str(CLUSTER / "slurm.sbatch"), *arguments],
            env=environment | slurm_sets | {"TRAIN_ENDS_WITH": str(ends_with)},
            capture_output=True,
            text=True,
            timeout=50,
        )
        return ended.returncode, [json.loads(line) for line in calls.read_text().splitlines()], ended.stderr

    return run


def test_slurm_starts_ray_on_all_nodes_trains_on_the_first_and_ends_it(slurm: Any, tmp_path: Path) -> None:
    code, calls, errors = slurm("configs/tiktok.yaml", f"run.output={tmp_path}/runs", "train.epochs=3")
    assert code == 0, errors
    rays = [call for call in calls if "ray" in call]  # they start side by side, in any order
    by_node = {next(word for word in call if word.startswith("--nodelist")): call for call in rays}
    assert sorted(by_node) == ["--nodelist=n1", "--nodelist=n2", "--nodelist=n3"]
    for node, call in by_node.items():
        assert {"--overlap", "--block", "--num-cpus=8", "--num-gpus=4", "--temp-dir=/tmp/ray-42"} <= {*call}
        assert ("--head" in call) == (node == "--nodelist=n1")
        assert ("--node-ip-address=10.0.0.7" if "--head" in call else "--address=10.0.0.7:6379") in call
    (train,) = (call for call in calls if "dualgnn_dist.train" in call)
    assert "--nodelist=n1" in train and "--resume-or-start" in train  # a requeued job goes on
    overrides = [word for word in train if re.match(r"\w+\.\w+=", word)]
    config = load(ROOT / "configs/tiktok.yaml", overrides)
    assert (config.resources.num_workers, config.resources.use_gpu, config.resources.cpus_per_worker) == (12, True, 2)
    assert (config.run.name, config.run.output, config.train.epochs) == ("dualgnn_42", f"{tmp_path}/runs", 3)
    assert "rm" in calls[-1] and calls[-1][-1] == "/tmp/ray-42"


def test_slurm_takes_what_the_user_says_and_hands_the_exit_code_on(slurm: Any) -> None:
    code, calls, _ = slurm("configs/tiktok.yaml", "run.name=mine", "resources.num_workers=3", gpus=None, ends_with=2)
    assert code == 2
    (train,) = (call for call in calls if "dualgnn_dist.train" in call)
    config = load(ROOT / "configs/tiktok.yaml", [word for word in train if re.match(r"\w+\.\w+=", word)])
    assert (config.resources.num_workers, config.resources.use_gpu, config.resources.cpus_per_worker) == (3, False, 8)
    assert config.run.name == "mine"
    code, calls, errors = slurm()
    assert code == 1 and calls == [] and "which config?" in errors


def test_slurm_directives_are_options_of_sbatch() -> None:
    text = (CLUSTER / "slurm.sbatch").read_text()
    head = text.partition("set -euo pipefail")[0]
    directives = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", text, re.M))
    assert text.count("#SBATCH") == head.count("#SBATCH") == len(directives)  # below a command they count for nothing
    assert {*directives} == {
        *("job-name", "nodes", "ntasks-per-node", "cpus-per-task", "gpus-per-node", "mem", "exclusive", "time"),
        *("requeue", "open-mode", "output"),
    }
    assert directives["ntasks-per-node"] == "1" and re.fullmatch(r"\d+:\d\d:\d\d", directives["time"])
