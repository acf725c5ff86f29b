"""The files of `cluster/` cannot be run here: their shape, versions, paths and commands are held to the project."""

from __future__ import annotations

import copy
import importlib.util
import itertools
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.runtime_env import RuntimeEnv

import dualgnn_dist
from dualgnn_dist.training.load import load
from dualgnn_dist.training.sweep.load import load_sweep
from tests.cluster.kuberay_schema import KINDS
from tests.test_wheel import BUILT_FROM

ROOT = Path(dualgnn_dist.__file__).parents[1]
CLUSTER = ROOT / "cluster"
MANIFESTS = sorted((CLUSTER / "kuberay").glob("*.yaml"))
RAY_UP = [CLUSTER / "aws.yaml", CLUSTER / "gcp.yaml"]
TEXTS = [path for path in sorted(CLUSTER.rglob("*")) if path.is_file() and "grafana" not in path.parts]
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
RAY_UP_SCHEMA = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
# Maps whose keys are the user's: labels, parameters of `ray start`.
FREE = {"labels", "nodeSelector", "rayStartParams", "metadata"}


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def named(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()


def refused(values: Any, schema: dict[str, Any]) -> bool:
    return next(jsonschema.Draft7Validator(schema).iter_errors(values), None) is not None


def key_paths(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every key that a schema may know."""
    if isinstance(values, dict) and (not path or path[-1] not in FREE):
        for key, value in values.items():
            yield (*path, key)
            yield from key_paths(value, (*path, key))
    elif isinstance(values, list):
        for index, value in enumerate(values):
            yield from key_paths(value, (*path, index))


def mistyped(values: Any, path: tuple[Any, ...]) -> Any:
    """A copy with one letter too many in one key."""
    changed = inner = copy.deepcopy(values)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1] + "x"] = inner.pop(path[-1])
    return changed


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifests_say_what_the_crds_know_and_one_mistyped_key_is_refused(path: Path) -> None:
    values = read(path)
    schema = KINDS[values["kind"]]
    jsonschema.validate(values, schema)
    # Anchors make one object of several places; text and back makes them several, so that one is mistyped at a time.
    values = json.loads(json.dumps(values))
    paths = list(key_paths(values))
    assert len(paths) > 5
    assert not [path for path in paths if not refused(mistyped(values, path), schema)]


def test_the_job_has_the_cluster_that_stays() -> None:
    job, cluster = read(CLUSTER / "kuberay/rayjob.yaml"), read(CLUSTER / "kuberay/raycluster.yaml")
    assert job["spec"]["rayClusterSpec"] == cluster["spec"]


def test_pods_mount_what_there_is_and_the_least_workers_fit_without_spot_nodes() -> None:
    job, claim = read(CLUSTER / "kuberay/rayjob.yaml")["spec"], read(CLUSTER / "kuberay/volume.yaml")
    cluster = job["rayClusterSpec"]
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        pod = group["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        (container,) = pod["containers"]
        assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} == {
            "shared": "/mnt/dualgnn",
            "shm": "/dev/shm",
        }
        assert volumes["shared"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert container["resources"]["requests"] == container["resources"]["limits"]
    on_demand, spot = cluster["workerGroupSpecs"]
    (command,) = commands(job["entrypoint"])
    resources = load(ROOT / "configs/tiktok.yaml", command[1]).resources
    assert isinstance(resources.num_workers, tuple)
    least, most = resources.num_workers
    assert on_demand["minReplicas"] >= least and on_demand["maxReplicas"] + spot["maxReplicas"] >= most
    limits = on_demand["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert resources.cpus_per_worker <= int(limits["cpu"]) and resources.use_gpu and limits["nvidia.com/gpu"] == "1"
    tolerated = {toleration["key"] for toleration in spot["template"]["spec"]["tolerations"]}
    assert spot["minReplicas"] == 0 and {*spot["template"]["spec"]["nodeSelector"]} < tolerated
    assert "/mnt/dualgnn" in job["entrypoint"] and yaml.safe_load(job["runtimeEnvYAML"])


@pytest.mark.parametrize("path", RAY_UP, ids=lambda path: path.stem)
def test_ray_up_files_pass_rays_own_checks_and_mistyped_keys_do_not(path: Path) -> None:
    values = read(path)
    jsonschema.validate(values, RAY_UP_SCHEMA)
    validate_config(prepare_config(copy.deepcopy(values)))
    strict = [(key,) for key in values] + [("auth", "ssh_user")]
    strict += [
        ("available_node_types", name, key) for name, node in values["available_node_types"].items() for key in node
    ]
    assert not [keys for keys in strict if not refused(mistyped(values, keys), RAY_UP_SCHEMA)]
    nodes = values["available_node_types"]
    assert nodes["head"]["resources"] == {"CPU": 0} and nodes["gpu"]["min_workers"] >= 2
    assert nodes["gpu_spot"]["min_workers"] == 0 and nodes["gpu_spot"]["node_config"] != nodes["gpu"]["node_config"]
    for local in values["file_mounts"].values():
        assert local.startswith("~") or (ROOT / local).exists(), local
    for commands_of in (
        "setup_commands",
        "head_setup_commands",
        "head_start_ray_commands",
        "worker_start_ray_commands",
    ):
        for command in values[commands_of]:
            subprocess.run(["bash", "-n"], input=command, text=True, check=True)


@pytest.mark.parametrize("path", [*RAY_UP, *MANIFESTS], ids=lambda path: path.name)
def test_what_is_to_be_replaced_is_explained(path: Path) -> None:
    text = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
    for word in set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b|\bREGISTRY\b", text)) - {"RAY_AUTH_MODE", "RAY_HEAD_IP"}:
        assert word in {"NCCL_DEBUG"} or f"`{word}`" in (CLUSTER / "README.md").read_text(), word


def test_versions_are_the_pins() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {named(name): version for name, version in PINS.items()}
    for path in TEXTS:
        text = path.read_text()
        for name, version in re.findall(r"([\w-]+)(?:\[[\w,]+\])?==([\w.]+)", text):
            assert version == pins[named(name)], (path, name)
        for version in re.findall(r"rayVersion: ([\w.]+)", text):
            assert version == PINS["ray"], path
        for version in re.findall(r"dualgnn-dist:([\w.]+)", text):
            assert version == dualgnn_dist.__version__, path
    assert f"Ray of the\ncluster, {PINS['ray'].rpartition('.')[0]}" in (CLUSTER / "README.md").read_text()
    (python,) = re.findall(r"^FROM python:(\d+\.\d+)-", (CLUSTER / "Dockerfile").read_text(), re.M)
    assert project["requires-python"].startswith(f">={python}") and f"--python {python}" in RAY_UP[0].read_text()
    wanted = {named(re.split("[<=>~]", need)[0]) for need in project["dependencies"]} | {"optuna"}
    listed = [line for line in read(CLUSTER / "runtime_env.yaml")["pip"]["packages"] if not line.startswith("-")]
    assert {named(line.partition("==")[0]) for line in listed} == wanted


def test_the_runtime_env_is_one_to_ray_and_mistyped_it_is_not() -> None:
    values = read(CLUSTER / "runtime_env.yaml")
    assert RuntimeEnv(**values).pip_config()["packages"] == values["pip"]["packages"]
    for path in key_paths(values["pip"]):
        with pytest.raises(ValueError):
            RuntimeEnv(pip=mistyped(values["pip"], path))


def test_the_image_installs_what_the_project_needs() -> None:
    text = (CLUSTER / "Dockerfile").read_text()
    for sources in re.findall(r"^COPY (.+) \S+$", text, re.M):
        assert all((ROOT / source).exists() for source in sources.split())
    listing = re.search(r"(printf .*?\| python -)", text, re.S)
    assert listing
    shell = listing[1].replace("python -", f"{shlex.quote(sys.executable)} -")
    printed = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert printed.splitlines() == project["dependencies"]
    assert re.findall(r"^USER (.+)$", text, re.M) == ["1000"]


def test_all_that_the_package_is_built_from_goes_to_the_nodes() -> None:
    """An installation on a node builds the package there; `tests/test_wheel.py` builds it from the same files."""
    needed = {*BUILT_FROM, "dualgnn_dist", "configs"}
    copied = re.findall(r"^COPY (.+) \S+$", (CLUSTER / "Dockerfile").read_text(), re.M)
    assert {name for names in copied for name in names.split()} == needed | {"constraints.txt"}
    for path in RAY_UP:
        mounts = {there: here for there, here in read(path)["file_mounts"].items() if not here.startswith("~")}
        assert mounts == {f"~/dualgnn_dist/{name}": name for name in needed | {"constraints.txt"}}


def commands(text: str) -> list[tuple[str, list[str], str | None]]:
    """The `python -m dualgnn_dist.<verb>` commands of a text: verb, overrides, config."""
    text = re.sub(r"\\\n\s*", " ", text)
    found = []
    for verb, rest in re.findall(r"python -m dualgnn_dist\.(\w+)([^\n`|]*)", text):
        words = shlex.split(rest.partition(" #")[0])
        config = next((after for word, after in itertools.pairwise(words) if word == "--config"), None)
        found.append((verb, [word for word in words if re.match(r"[a-z_]+\.\w+=", word)], config))
    return found


def documented() -> list[tuple[str, list[str], str | None]]:
    """The commands of all files, and the config and overrides that `sbatch` is shown with."""
    texts = [path.read_text() for path in TEXTS if path.suffix != ".sbatch"]
    texts.append(read(CLUSTER / "kuberay/rayjob.yaml")["spec"]["entrypoint"])
    text = re.sub(r"\\\n\s*", " ", "\n".join([*texts, (CLUSTER / "slurm.sbatch").read_text()]))
    text = re.sub(r"sbatch [^\n]*?cluster/slurm\.sbatch (configs/)", r"python -m dualgnn_dist.train --config \1", text)
    return commands(text.replace("/opt/dualgnn_dist/", ""))


def test_commands_name_verbs_configs_and_keys_that_exist() -> None:
    found = documented()
    assert len([config for _, _, config in found if config and config != "..."]) >= 7
    for verb, overrides, config in found:
        assert importlib.util.find_spec(f"dualgnn_dist.{verb}"), verb
        if config and config.startswith("configs/") and config != "configs/NAME.yaml":
            (load_sweep if verb == "tune" else load)(ROOT / config, overrides)


def test_paths_exist() -> None:
    for path in TEXTS:
        for name in re.findall(r"(?<![\w/])(?:cluster|configs|benchmarks|tests)/[\w./-]*\w", path.read_text()):
            assert name == "configs/NAME.yaml" or (ROOT / name).exists(), (path, name)


def test_options_of_ray_exist() -> None:
    from ray.dashboard.modules.job.cli import submit
    from ray.scripts.scripts import start

    known = {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in (("start", start), ("job submit", submit))
    }
    seen = 0
    for path in TEXTS:
        text = re.sub(r"\\\n\s*", " ", path.read_text())
        text = re.sub(r"\n +(--)", r" \1", text)
        for name, options in re.findall(r"ray (start|job submit)\b([^\n`]*)", text):
            for option in re.findall(r"(?<= )--[\w-]+", re.split(r" -- | #|\$@", options)[0]):
                assert option in known[name], (path, option)
                seen += 1
    assert seen > 15


def test_the_sizes_are_the_arithmetic_that_they_say_they_are() -> None:
    step = json.loads((ROOT / "benchmarks/results/step_10000000.json").read_text())
    graph = json.loads((ROOT / "benchmarks/results/scaling_graph.json").read_text())["rows"]
    nodes = {row["interactions"]: row["nodes"] for row in graph if row["batch"] == 1024}
    table = [
        line.strip("| ").split(" | ")
        for line in (CLUSTER / "README.md").read_text().splitlines()
        if line[:3] in ("| 1",)
    ]
    shapes = {"10 M": (1e7, 1e6, 1e5), "100 M": (1e8, 1e7, 1e6), "1 G": (1.007e9, 34.5e6, 1.14e6)}
    rows = [row for row in table if len(row) == 8]
    assert [row[0] for row in rows] == ["10 M", "100 M", "1 G", "1 G"]
    for name, _, store, all_rows, gpus, own_rows, ranking, hours in rows:
        interactions, users, items = shapes[name]
        reach = 1 if name == "10 M" else nodes[100_000_000] / nodes[10_000_000]
        row, width, count = (3 * 64 + 3) * 4, 3 * 64 * 4, int(gpus)
        wanted = {
            store: interactions * 16 + (users + items) * 16 + users * 40 * 8 + items * 640 * 2,
            all_rows: users * row * 3,
            own_rows: users * row * 3 / count,
            ranking: users * row * 3 / count + 4 * users / count * width + 7 * items * width,
        }
        for said, size in wanted.items():
            assert float(said.removesuffix(" GB")) == pytest.approx(size / 1e9, abs=0.06), (name, said)
        dense = 4 * sum(d * 256 + 4 * 64 * 64 for d in (128, 128, 384))
        moved = (step["rows"][0]["users of a batch"] * reach * (8 + 2 * row) + 2 * dense) * (count - 1) / count
        compute = step["rows"][0]["step s"] * step["options"]["threads"] / 20 * reach
        steps = interactions * 0.8 / (count * 1024)
        for said, gbit in zip(hours.split(", "), (25, 100, 400), strict=False):
            assert float(said) == pytest.approx(steps * (compute + moved * 8 / (gbit * 1e9)) / 3600, abs=0.006), name
