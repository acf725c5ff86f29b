"""Programs that write the same run or store at the same time, and that are killed while they do."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from dualgnn_dist.base.storage.lease import LEASE
from dualgnn_dist.base.storage.remote import RemoteFolder, join
from dualgnn_dist.data.store.reader import Store

pytestmark = pytest.mark.faults

ENDLESS = {"train.epochs": 100_000, "sampler.batch_size": 128}


def epochs_trained(run: Path) -> list[int]:
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [line["epoch"] for line in lines if "training" in line]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_killed_run_is_resumed_at_once_and_a_live_one_is_not(
    write_config: Callable[..., Path], start: Callable[..., Any], tmp_path: Path, num_workers: int
) -> None:
    config, run = write_config({**ENDLESS, "resources.num_workers": num_workers}), tmp_path / "runs/tiny"
    program = start("dualgnn_dist.train", ["--config", config], tmp_path)
    program.wait_for(lambda: list(run.glob("checkpoints/epoch-*/checkpoint.json")), "a checkpoint")
    for how in ("--resume", "--resume-or-start"):
        second = start("dualgnn_dist.train", ["--config", config, how], tmp_path)
        assert second.wait() == 2, second.output
        assert f"run {run} is being written by process {program.process.pid} on " in second.output
    program.process.kill()
    program.process.wait()
    outlived = [process for process in program.descendants() if "RayTrainWorker" in " ".join(process.cmdline())]
    epochs = int(max(path.parent.name for path in run.glob("checkpoints/epoch-*/checkpoint.json"))[6:11]) + 3
    after = start("dualgnn_dist.train", ["--config", config, "--resume", f"train.epochs={epochs}"], tmp_path)
    assert after.wait() == 0, after.output
    print(f"{len(outlived)} workers outlived the program that started them")
    trained = epochs_trained(run)
    assert trained == list(range(1, len(trained) + 1)) and len(trained) >= epochs, after.output
    assert json.loads((run / "metrics.json").read_text())["epochs"] == len(trained)


def test_of_two_prepares_one_makes_the_store(
    write_config: Callable[..., Path], start: Callable[..., Any], tmp_path: Path
) -> None:
    many = {"prepare.options.num_users": 60_000, "prepare.options.num_interactions": 1_500_000}
    config, store = write_config(many), tmp_path / "stores/mine"
    prepares = [start("dualgnn_dist.prepare", ["--config", config, "--output", store], tmp_path) for _ in range(3)]
    codes = sorted(prepare.wait() for prepare in prepares)
    assert codes == [0, 2, 2], [prepare.output for prepare in prepares]
    refusals = [prepare.output for prepare in prepares if prepare.process.returncode == 2]
    assert all("is being written by process" in said or "is a store already" in said for said in refusals), refusals
    Store.open(store).verify()
    assert [path.name for path in store.parent.iterdir()] == ["mine"]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty bucket on an S3 server on the loopback address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    served = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    served.start()
    host, port = served.get_host_and_port()
    for name, value in {"ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "word", "EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket="writers")
    yield f"s3://writers/runs?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    served.stop()


def test_a_run_in_a_bucket_has_one_writer_too(
    bucket: str, write_config: Callable[..., Path], start: Callable[..., Any], tmp_path: Path, monkeypatch: Any
) -> None:
    config, there = write_config({**ENDLESS, "run.output": bucket}), RemoteFolder.at(join(bucket, "tiny"))

    def started(cache: str, *arguments: str) -> Any:
        monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / cache))  # nodes that see nothing of one another
        return start("dualgnn_dist.train", ["--config", config, *arguments], tmp_path)

    first = started("one")
    first.wait_for(lambda: [name for name in there.sizes() if name.endswith("checkpoint.json")], "a checkpoint")
    second = started("two", "--resume-or-start")
    assert second.wait(90) == 2, second.output
    assert f"is being written by process {first.process.pid} on " in second.output
    assert first.process.poll() is None
    first.process.kill()
    first.process.wait()
    lease = json.loads(there.read_text(LEASE))
    there.write_text(LEASE, json.dumps({**lease, "place": "another node"}))  # nobody can ask there whether it lives
    killed, epochs = time.monotonic(), 2 + int(max(n for n in there.sizes() if "/epoch-" in n).split("/")[1][6:11])
    third = started("three", "--resume", f"train.epochs={epochs}")
    assert third.wait() == 0, third.output
    assert time.monotonic() - killed > 50 and "is silent, so this process takes over" in third.output
    assert LEASE not in there.sizes() and json.loads(there.read_text("metrics.json"))["epochs"] >= epochs
