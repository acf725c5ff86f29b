"""`ray job submit` against a real head: what a job's log reads like, how it ends, and what a stopped one leaves."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
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
import yaml
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient
from ray.runtime_env import RuntimeEnv

import dualgnn_dist
from dualgnn_dist import train

ROOT = Path(dualgnn_dist.__file__).parents[1]
_MARK = "DUALGNN_TEST_HEAD"


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def client() -> Iterator[JobSubmissionClient]:
    """A head of its own, ended with everything that it started."""
    temporary = tempfile.mkdtemp(prefix="rj", dir="/tmp")  # short: sockets lie in it
    port, dashboard, agent, clients = free_ports(4)
    mark, token = secrets.token_hex(8), secrets.token_hex(32)
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"]
    options = {
        "port": port,
        "dashboard-port": dashboard,
        "dashboard-host": "127.0.0.1",
        "dashboard-agent-listen-port": agent,
        "ray-client-server-port": clients,
        "node-ip-address": "127.0.0.1",
        "temp-dir": temporary,
        "num-cpus": 4,
        "object-store-memory": 100_000_000,
    }
    command += [f"--{name}={value}" for name, value in options.items()]
    log = Path(temporary) / "start.log"
    with log.open("w") as file:
        head = subprocess.Popen(
            command,
            cwd=temporary,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**environment, **own, _MARK: mark, "PYTHONPATH": str(ROOT)},
        )
        try:
            yield connect(f"http://127.0.0.1:{dashboard}", token, head, log)
        finally:
            head.terminate()
            deadline = time.monotonic() + 10
            while marked(mark) and time.monotonic() < deadline:
                time.sleep(0.2)
            killed = marked(mark)
            for process in killed:
                process.kill()
            head.wait()
            psutil.wait_procs(killed, timeout=10)  # a process is there for a moment after it was killed
            shutil.rmtree(temporary, ignore_errors=True)
    assert not marked(mark)


def connect(address: str, token: str, head: subprocess.Popen[bytes], log: Path) -> JobSubmissionClient:
    deadline = time.monotonic() + 60
    while True:
        try:
            return JobSubmissionClient(address, headers={"Authorization": f"Bearer {token}"})
        except (ConnectionError, RuntimeError):
            if time.monotonic() > deadline or head.poll() is not None:
                pytest.fail(f"no Ray head: {log.read_text()}")
            time.sleep(0.5)


def submit(client: JobSubmissionClient, arguments: str, **environment: str) -> str:
    # The package comes from the path, where its compiled kernels are kept: a fresh copy would compile for a minute.
    entrypoint = f"{sys.executable} -m dualgnn_dist.train {arguments}"
    variables = {"OMP_NUM_THREADS": "1", "RAY_JOB_STOP_WAIT_TIME_S": "60", **environment}
    deadline = time.monotonic() + 60
    while True:
        try:
            return client.submit_job(entrypoint=entrypoint, runtime_env={"env_vars": variables})
        except RuntimeError as error:  # the head answers before its agent can take jobs
            assert time.monotonic() < deadline, error
            time.sleep(0.5)


def wait(client: JobSubmissionClient, job: str, seconds: float = 120) -> JobDetails:
    deadline = time.monotonic() + seconds
    while not client.get_job_status(job).is_terminal():
        assert time.monotonic() < deadline, client.get_job_logs(job)
        time.sleep(0.2)
    return client.get_job_info(job)


def log_of(client: JobSubmissionClient, job: str) -> str:
    """A job's log, which must read well; without what Ray says where other Ray clusters run on the same machine."""
    lines = client.get_job_logs(job).split("\n")
    log = "\n".join(line for line in lines if not line.startswith("(PlacementGroupCleaner "))
    assert "\r" not in log and "\x1b" not in log
    epochs = re.findall(r"epoch \d+/\d+  loss .*", log)
    assert len(epochs) == len(set(epochs)), "a line appears twice"
    return log


def test_a_job_succeeds(client: JobSubmissionClient, write_config: Callable[..., Path], tmp_path: Path) -> None:
    config = write_config({"resources.num_workers": 2, "run.output": "runs"})
    job = submit(client, f"--config {config}", DUALGNN_HOME=str(tmp_path / "home"))
    details = wait(client, job)
    log = log_of(client, job)
    assert details.status == JobStatus.SUCCEEDED and details.driver_exit_code == 0, log
    run = tmp_path / "home" / "runs" / "tiny"
    assert json.loads((run / "metrics.json").read_text())["epochs"] == 3
    for epoch in (1, 2, 3):
        assert len(re.findall(rf"epoch {epoch}/3  loss", log)) >= 1
        assert len(re.findall(rf"epoch {epoch}  validation", log)) == 1, log
    assert log.rstrip().endswith(f"run folder: {run}")


def test_a_job_that_is_wrong_fails_with_the_reason_last(
    client: JobSubmissionClient, write_config: Callable[..., Path]
) -> None:
    jobs = {
        "error: unknown config key 'train.epoch'": write_config({"train.epoch": 2}, "wrong.yaml"),
        "error: training has diverged: step ": write_config(
            {"optimizer.learning_rate": 1e30, "resources.num_workers": 2}, "diverging.yaml"
        ),
    }
    for reason, config in jobs.items():
        job = submit(client, f"--config {config}")
        details, log = wait(client, job), log_of(client, job)
        assert details.status == JobStatus.FAILED and details.driver_exit_code == 2, log
        assert log.rstrip().splitlines()[-1].startswith(reason) and "Traceback" not in log, log


def test_a_stopped_job_leaves_a_checkpoint_to_go_on_from(
    client: JobSubmissionClient, write_config: Callable[..., Path], call: Callable[..., Any], tmp_path: Path
) -> None:
    values = {"resources.num_workers": 2, "train.epochs": 60, "train.eval_every": 20, "sampler.batch_size": 64}
    config, run = write_config(values), tmp_path / "runs" / "tiny"
    job = submit(client, f"--config {config}")
    deadline = time.monotonic() + 90
    while not (run / "history.jsonl").exists():
        assert time.monotonic() < deadline and not client.get_job_status(job).is_terminal(), client.get_job_logs(job)
        time.sleep(0.1)
    client.stop_job(job)
    assert wait(client, job).status == JobStatus.STOPPED
    log = log_of(client, job)
    found = re.search(r"stopped: checkpoint (\S+); go on with --resume", log)
    assert found and (Path(found[1]) / "checkpoint.json").exists(), log
    assert not (run / "metrics.json").exists(), "stopped too late: the test shows nothing"
    assert not (run / "stop").exists()

    said = call(train.main, "--config", config, "--resume", "train.epochs=8", "resources.num_workers=0")
    assert said.code == 0 and f"resumed from {found[1]}" in said.output, said
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    epochs = [line["epoch"] for line in history if "training" in line]
    assert epochs == list(range(1, len(epochs) + 1)) and len(epochs) >= 8
    assert json.loads((run / "metrics.json").read_text())["epochs"] == len(epochs)


def test_the_runtime_environment_of_the_cluster_folder_parses() -> None:
    made = RuntimeEnv(**yaml.safe_load((ROOT / "cluster" / "runtime_env.yaml").read_text()))
    assert any(package.startswith("torch==") for package in made.pip_config()["packages"])
