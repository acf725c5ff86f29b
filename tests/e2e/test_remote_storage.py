"""Stores and runs at URLs: on a disk, and on an S3 server. `gs://` takes the same road; no server of it runs here."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest
from moto.server import ThreadedMotoServer

from dualgnn_dist import prepare, train
from dualgnn_dist.base.storage.remote import RemoteFolder, join
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.staging import stage


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    """An S3 server on the loopback address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    served = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    served.start()
    yield served.get_host_and_port()
    served.stop()


@pytest.fixture
def s3(server: tuple[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of an empty bucket; the credentials are where users have them, and this node's cache is new."""
    host, port = server
    for name, value in {"ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "word", "EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "node"))
    bucket = tmp_path.name.replace("_", "-").lower()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket=bucket)
    return f"s3://{bucket}/place?endpoint_override={host}:{port}&scheme=http&region=us-east-1"


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of a folder that is not there yet, as of a mount."""
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "node"))
    return (tmp_path / "mount/place").as_uri()


@pytest.fixture(params=["s3", "disk"])
def place(request: pytest.FixtureRequest) -> str:
    """Either of them."""
    return request.getfixturevalue(request.param)


def test_prepare_train_and_resume_elsewhere(
    place: str,
    write_config: Callable[..., Path],
    call: Callable[..., Any],
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = {"data.store": join(place, "stores", "tiny"), "run.output": join(place, "runs")}
    config = write_config({**changes, "train.epochs": 2})
    said = call(prepare.main, "--config", config)
    assert said.code == 0 and f"store: {changes['data.store']}" in said.output, said
    assert "is a store already" in refused(prepare.main, "--config", config)
    assert call(prepare.main, "--config", config, "--overwrite").code == 0

    said = call(train.main, "--config", config)
    assert said.code == 0 and "copying" not in said.output, said  # what was made here is here
    url = join(place, "runs", "tiny")  # the run is named by its URL, before and after, never by a folder of the cache
    assert said.output.count(f"run folder: {url}\n") == 2 and "/cache/" not in said.output, said
    there = RemoteFolder.at(join(place, "runs", "tiny"))
    files = there.sizes()
    assert {"config.yaml", "history.jsonl", "metrics.json", "representations/items.arrow"} <= files.keys()
    assert {"checkpoints/epoch-00002/checkpoint.json", "checkpoints/epoch-00002/dense.pt"} <= files.keys()
    assert len({name.split("/")[1] for name in files if name.startswith("checkpoints/")}) <= 2

    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "another_node"))
    assert "tiny" in (message := refused(train.main, "--config", config)) and "exists; continue" in message
    said = call(train.main, "--config", config, "--resume", "train.epochs=3")
    assert said.code == 0 and "copying" in said.output and "after epoch 2, step 0" in said.output, said
    metrics = json.loads(there.read_text("metrics.json"))
    assert metrics["epochs"] == 3 and len(there.read_text("history.jsonl").splitlines()) == 6

    local = {"run.output": str(tmp_path / "local"), "data.store": changes["data.store"]}
    assert call(train.main, "--config", write_config(local)).code == 0
    assert json.loads((tmp_path / "local/tiny/metrics.json").read_text())["test"] == pytest.approx(metrics["test"])


def test_train_makes_a_store_that_is_not_there(
    s3: str, write_config: Callable[..., Path], call: Callable[..., Any], refused: Callable[..., str]
) -> None:
    url = join(s3, "stores", "tiny")
    config = write_config({"data.store": url, "train.epochs": 1, "prepare": None})
    assert f"there is no store at {url}, and the config has no prepare section" in refused(
        train.main, "--config", config
    )
    config = write_config({"data.store": url, "train.epochs": 1})
    said = call(train.main, "--config", config)
    assert said.code == 0 and f"preparing {url}" in said.output, said
    assert "manifest.json" in RemoteFolder.at(url).sizes()
    other = write_config({"data.store": url, "prepare.k_core": 2, "run.name": "other"}, "other.yaml")
    assert "was made with prepare.k_core=0, the config says 2" in refused(train.main, "--config", other)


def test_prepare_works_in_the_cache_that_the_config_names(
    write_config: Callable[..., Path], call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "small_disk"))
    big_disk = tmp_path / "big_disk"
    changes = {"data.store": (tmp_path / "bucket" / "tiny").as_uri(), "data.cache": str(big_disk)}
    assert call(prepare.main, "--config", write_config(changes)).code == 0
    assert (tmp_path / "bucket" / "tiny" / "manifest.json").is_file()
    assert [*big_disk.rglob("manifest.json")] and not [*tmp_path.glob("small_disk/**/manifest.json")]


def _upload(folder: Path, url: str) -> RemoteFolder:
    remote = RemoteFolder.at(url)
    for file in folder.rglob("*.*"):
        remote.upload(file, file.relative_to(folder).as_posix())
    return remote


def test_damage_is_found_here_and_there(
    s3: str, tiny_store: Path, write_config: Callable[..., Path], call: Callable[..., Any], refused: Callable[..., str]
) -> None:
    remote = _upload(tiny_store, url := join(s3, "stores", "tiny"))
    config = write_config({"data.store": url, "prepare": None, "train.epochs": 1})
    copy, victim = stage(url), "graph/user_item-00000.arrow"
    (copy / victim).write_bytes((copy / victim).read_bytes()[:-8])
    said = call(train.main, "--config", config)
    assert said.code == 0 and f"is damaged ({victim}): making it whole" in said.output, said
    Store.open(copy).verify()

    content = bytearray((tiny_store / victim).read_bytes())
    content[-1] ^= 255
    (copy / victim).unlink()
    (copy / "damaged").write_bytes(content)
    remote.upload(copy / "damaged", victim)
    message = refused(train.main, "--config", config, "run.name=again")
    right = next(shard.checksum for shard in Store.open(tiny_store).manifest.shards if shard.file == victim)
    assert f"the file {victim} is damaged" in message and right in message


def test_what_is_not_there_is_named(
    s3: str, write_config: Callable[..., Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    nowhere = s3.replace("://", "://no-", 1)
    config = write_config({"data.store": join(nowhere, "x")})
    assert "there is no bucket" in refused(train.main, "--config", config)
    assert "there is no bucket" in refused(prepare.main, "--config", config)
    assert "there is no bucket" in refused(
        train.main, "--config", write_config({"run.output": join(nowhere, "runs"), "train.epochs": 1})
    )
    for key in ("data.store", "run.output"):
        assert "unknown scheme 's33'; did you mean 's3'?" in refused(
            train.main, "--config", write_config({key: "s33://bucket/x"})
        )
    assert "holds credentials" in refused(train.main, "--config", write_config({"data.store": "s3://me:word@b/x"}))
    assert "there is no run to resume at s3://" in refused(
        train.main, "--config", write_config({"run.output": join(s3, "runs")}), "--resume"
    )
    assert not [path for path in tmp_path.rglob("*") if "unfinished" in path.name or path.name.startswith(".made")]


def test_two_processes_that_start_together_copy_once(s3: str, tiny_store: Path) -> None:
    _upload(tiny_store, url := join(s3, "stores", "tiny"))
    script = (
        "import sys\n"
        "from dualgnn_dist.data.store.reader import Store\n"
        "from dualgnn_dist.data.store.staging import stage\n"
        "Store.open(stage(sys.argv[1])).verify()\n"
    )
    command = [sys.executable, "-c", script, url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert "".join(said).count("copying s3://") == 1, said


@pytest.mark.parametrize("shape", ["file", "folder", "glob"])
def test_a_log_in_a_bucket(s3: str, shape: str, call: Callable[..., Any], tmp_path: Path) -> None:
    log = "".join(f"{user},{item}\n" for user in range(6) for item in range(5))
    (tmp_path / "log.csv").write_text(f"user,item\n{log}")
    pl.DataFrame({"item": range(5), "v": [[float(k)] for k in range(5)]}).write_parquet(tmp_path / "items.parquet")
    there = RemoteFolder.at(s3)
    for name in ("log/day=1/part.csv", "log/_SUCCESS", "items.parquet"):
        there.upload(tmp_path / ("items.parquet" if name == "items.parquet" else "log.csv"), name)
    source = {
        "file": f"prepare.input={join(s3, 'log', 'day=1', 'part.csv')}",
        "folder": f"prepare.input={join(s3, 'log')}",
        "glob": f"prepare.input={{glob: '{s3.replace('?', '/log/**/*.csv?')}'}}",
    }[shape]
    section = ["prepare.format=table", "prepare.split=random", source]
    beside = f"prepare.modalities.v={'../../items.parquet' if shape == 'file' else '../items.parquet'}"
    said = call(prepare.main, "--output", str(tmp_path / "store"), *section, beside)
    assert said.code == 0 and "fetching s3://" in said.output and "30 rows, 30 interactions" in said.output, said
    assert "5 of 5 items" in said.output
    missing = call(prepare.main, "--output", str(tmp_path / "other"), *section, beside.replace("items", "itms"))
    assert missing.code == 2 and "itms.parquet does not exist" in missing.error, missing
    assert "s3://" in missing.error and "fetched" not in missing.error, missing
