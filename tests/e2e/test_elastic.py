"""Elastic runs for real: two raylets on this machine, one of which is lost in the middle of an epoch and comes back."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.faults

# Each report of a checkpoint takes Ray two seconds, which is what makes the run long enough.
LONG = {
    "train.epochs": 20,
    "train.eval_every": 20,  # rounding must not choose another best epoch
    "sampler.batch_size": 64,
    "checkpoint.every_steps": 40,
    "optimizer.learning_rate": 0.0005,
}

# `train` that looks for room, and says what it waits for, every few seconds.
IMPATIENT = """
import sys
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.launch import ray_train, ray_watch
from dualgnn_dist import train

ray_watch.SECONDS_BETWEEN = 2.0
ray_train.SECONDS_BETWEEN_RESIZES = 10.0
if __name__ == "__main__":
    run_program(lambda: train.main(["--config", sys.argv[1]]))
"""


class Cluster:
    """A head and one more node, of one CPU each, on this machine; begun and ended by process id."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder = folder
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_TMPDIR": str(folder)}
        self.environment = {**clean, **own}
        self._processes = [self._start("--head", f"--port={self.port}", f"--temp-dir={folder}")]
        self._wait_for_head()

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        with (self._folder / "start.log").open("a") as log:
            return subprocess.Popen(
                [*command, "--num-cpus=1", "--object-store-memory=100000000", *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )

    def _wait_for_head(self) -> None:
        deadline = time.monotonic() + 60
        while "Ray runtime started" not in (self._folder / "start.log").read_text():
            assert time.monotonic() < deadline, (self._folder / "start.log").read_text()
            time.sleep(0.3)

    def second(self) -> subprocess.Popen[bytes]:
        """The other node; it joins if it is not there."""
        if len(self._processes) == 1 or self._processes[-1].poll() is not None:
            self._processes.append(self._start(f"--address=127.0.0.1:{self.port}"))
        return self._processes[-1]

    def lose(self, node: subprocess.Popen[bytes]) -> None:
        """Its raylet, its workers and all else at once, as when a machine is switched off."""
        all_of_it = [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]
        for process in all_of_it:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        node.wait()

    def end(self) -> None:
        for node in self._processes:
            if node.poll() is None:
                self.lose(node)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="el", dir="/tmp"))  # short: sockets lie in it
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.end()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def start_on(
    cluster: Cluster, start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Any]:
    for name, value in cluster.environment.items():
        if name.startswith("RAY_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{cluster.port}")
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "10")
    return lambda module, *arguments: start(module, [*arguments], tmp_path)


def test_a_node_is_lost_in_an_epoch_and_comes_back(
    cluster: Cluster,
    start_on: Callable[..., Any],
    write_config: Callable[..., Path],
    trained: Callable[..., Path],
    tmp_path: Path,
) -> None:
    node = cluster.second()
    run = tmp_path / "runs" / "elastic"
    config = write_config({**LONG, "resources.num_workers": [1, 2], "run.name": "elastic"})
    time.sleep(8)  # the node joins
    (tmp_path / "impatient.py").write_text(IMPATIENT)
    program = start_on("impatient", config)

    program.wait_for(lambda: list((run / "checkpoints").glob("*-step-*/checkpoint.json")), "a checkpoint in an epoch")
    cluster.lose(node)
    program.wait_for(lambda: "workers at work: 1, before: 2" in program.lines, "one worker going on", 90)
    program.wait_for(lambda: any("resumed from" in line for line in program.lines), "the checkpoint", 30)
    cluster.second()
    grown = re.compile("the cluster has room for 2 workers now: the run goes on from .*epoch-")
    program.wait_for(lambda: any(grown.match(line) for line in program.lines), "room for two again", 150)
    program.wait_for(lambda: "workers at work: 2, before: 1" in program.lines, "two workers again", 60)

    assert program.wait(240) == 0, program.output
    assert any(re.match(r"worker \d .* died.*1 of 2 failures left", line) for line in program.lines), program.output
    assert not any(line.startswith(("Traceback", "(raylet")) for line in program.lines + program.complaints)
    whole = trained({**LONG, "run.name": "undisturbed"})
    numbers, undisturbed = (json.loads((folder / "metrics.json").read_text()) for folder in (run, whole))
    assert numbers["num_workers"] == 2
    for split in ("validation", "test"):
        for name, value in undisturbed[split].items():
            assert numbers[split][name] == pytest.approx(value, abs=5e-3), name  # of 400 users
    ours, theirs = losses(run), losses(whole)
    assert [epoch for epoch, _ in ours] == list(range(1, LONG["train.epochs"] + 1)), "each epoch once"
    for (_, loss), (epoch, undisturbed_loss) in zip(ours, theirs, strict=True):
        assert loss == pytest.approx(undisturbed_loss, rel=2e-3), epoch


def losses(run: Path) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [(line["epoch"], line["training"]["loss"]) for line in lines if "training" in line]


def test_a_cluster_that_is_too_small_is_waited_for_and_a_signal_ends_that(
    cluster: Cluster, start_on: Callable[..., Any], write_config: Callable[..., Path], tmp_path: Path
) -> None:
    cluster.second()
    time.sleep(8)
    (tmp_path / "impatient.py").write_text(IMPATIENT)
    program = start_on("impatient", write_config({"resources.num_workers": 5}))
    line = program.wait_for(
        lambda: next((line for line in program.lines if line.startswith("waiting for 5 workers")), None), "why it waits"
    )
    assert "free are 2 of 2 CPUs on 2 nodes: the cluster is too small until nodes join it" in line
    program.process.send_signal(signal.SIGTERM)
    assert program.wait(20) == 143, program.output
    assert "stopped: no worker was at work" in program.output
    assert not (tmp_path / "runs" / "tiny").exists(), "a run that never began blocks its name"
