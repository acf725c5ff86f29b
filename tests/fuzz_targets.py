"""What the fuzzers break: valid small inputs of every reader, and how each is read.

A target is a line in `TARGETS`. `write` makes a folder of valid files; `read` reads it and raises `UserError` where it
refuses; whatever else it raises is a find. The Hypothesis tests and `benchmarks/fuzz.py` both go by this table.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import yaml

from dualgnn_dist.base.config import from_mapping
from dualgnn_dist.base.world import World
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.launch.run import start_run
from dualgnn_dist.results.finished_run import FinishedRun
from dualgnn_dist.training import checkpoint
from dualgnn_dist.training.load import load, load_prepare
from tests.conformance.test_formats import WRITERS
from tests.unit.data.prepare.formats.shapes import WRITERS as SHAPES
from tests.unit.data.prepare.formats.shapes import write_safetensors

CONFIGS = Path(__file__).parents[1] / "configs"
TOKENS = [
    b'"',
    b",",
    b"\t",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\0",
    b" ",
    b"::",
    b":",
    b"-",
    b"-1",
    b".",
    b"e9",
    b"[",
    b"{",
]
TOKENS += [b"nan", b"inf", b"1e300", b"99999999999", b"9223372036854775808", b"null", b"~", b"2020-01-01", b"&a", b"*a"]
TOKENS += [
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xe9",
    b"\xc3",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80",
    b"<<:",
    b"!!",
]


@dataclass(frozen=True)
class Target:
    """One reader, and what it reads.

    Args:
        write: makes the valid files, and gives what `read` needs beside the folder.
        breaks: those of them that are damaged, as a pattern of `Path.glob`.
        is_slow: its valid files take long to make; the suite leaves it to `benchmarks/fuzz.py`.
    """

    write: Callable[[Path], Any]
    read: Callable[[Path, Any], None]
    breaks: str = "**/*"
    is_slow: bool = False


def mutate(content: bytes, choice: random.Random) -> bytes:
    """One to four changes of a file: bits, bytes, slices, numbers and what means something to a reader."""
    changed = bytearray(content)
    for _ in range(choice.choice([1, 1, 1, 2, 4])):
        at, length = choice.randint(0, len(changed)), choice.choice([1, 1, 2, 4, 8, 40])
        kind = choice.randrange(8)
        if kind == 0 and changed:
            changed[at % len(changed)] ^= 1 << choice.randrange(8)
        elif kind == 1:
            changed[at : at + length] = choice.randbytes(length)
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = changed[at : at + length] * choice.choice([1, 2, 50])
        elif kind == 4:
            del changed[at:]
        elif kind in (5, 6):
            changed[at : at + choice.choice([0, 0, 1])] = choice.choice(TOKENS)
        elif numbers := list(re.finditer(rb"\d+", changed)):
            start, end = choice.choice(numbers).span()
            changed[start:end] = choice.choice(
                [b"-1", b"0", b"4294967296", b"1e38", b"0.5", b"", b"123456789012345678901"]
            )
    return bytes(changed)


def damage(folder: Path, choice: random.Random, breaks: str = "**/*") -> Path:
    """Changes one file of a folder; returns which."""
    file = choice.choice(sorted(path for path in folder.glob(breaks) if path.is_file()))
    file.write_bytes(mutate(file.read_bytes(), choice))
    return file


def _write_format(name: str, folder: Path) -> dict[str, Any]:
    section = WRITERS[name](folder)
    if name == "movielens":
        section.update(split="random", split_shares=[0.8, 0.1, 0.1], options={"min_rating": 1})
    return {"format": name, "num_threads": 1, "num_co_users": 4, "overwrite": True, "k_core": 1, **section}


def _write_shape(ending: str, folder: Path) -> dict[str, Any]:
    """A log of two parts with times, nulls and events, and features in a matrix with ids and as columns."""
    generator = np.random.default_rng(4)
    frame = pl.DataFrame(
        {
            "user": pl.Series([None, *generator.integers(0, 6, 59).tolist()]),
            "item": generator.integers(0, 5, 60),
            "time": [f"2024-05-{1 + k // 3:02}T10:00:0{k % 3}Z" for k in range(60)],
            "event": generator.choice(["like", "view"], 60),
        }
    )
    for k, part in enumerate((frame[:30], frame[30:])):
        path = folder / "log" / f"part=p{k}" / f"{k}{ending}"
        path.parent.mkdir(parents=True)
        SHAPES[ending](part, path)
    vectors = generator.normal(size=(5, 3)).astype(np.float32)
    np.savez_compressed(folder / "v.npz", v=vectors, ids=np.arange(5))
    write_safetensors(folder / "w.safetensors", {"w": ("F32", vectors), "ids": ("I64", np.arange(5))})
    labels = pl.DataFrame({"item": range(5), "v": vectors.tolist(), "label": [["a"], ["a", "b"], [], None, ["c"]]})
    labels.write_ipc(folder / "items.arrow")
    labels.write_ndjson(folder / "items.jsonl")
    sources = {
        "npz": {"file": "../v.npz", "column": "v", "items": "ids"},
        "safe": {"file": "../w.safetensors", "column": "w", "items": "ids"},
        "column": {"file": "../items.arrow", "column": "v"},
        "label": {"file": "../items.jsonl", "column": "label"},
    }
    options = {"timestamp_column": "time", "nulls": "drop", "where": "event = 'like' or part = 'p1'"}
    section = {"format": "table", "input": str(folder / "log"), "modalities": sources, "options": options}
    return {**section, "split": "user_time", "split_shares": [0.5, 0.25, 0.25], "num_threads": 1, "overwrite": True}


def _read_format(folder: Path, section: dict[str, Any]) -> None:
    """Either a store whose counts add up, or a refusal that leaves nothing behind."""
    beside = folder.with_name("made")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        config = from_mapping(PrepareConfig, section)
        store = Store.open(prepare(config, beside / "store", say=lambda line: None))
    except ValueError:
        assert list(beside.iterdir()) == [], "a refusal left something behind"
        raise
    rows = store.manifest.settings["rows"]
    assert 2 * rows["read"] == sum(rows.values()) and rows["interactions"] == sum(
        store.manifest.num_interactions.values()
    )
    store.verify()


def _write_config(folder: Path) -> None:
    shutil.copy(CONFIGS / "quickstart.yaml", folder / "run.yaml")


def _read_config(folder: Path, _: None) -> None:
    """A config that is accepted comes back as it is from what it writes itself."""
    config = load(folder / "run.yaml")
    load_prepare(folder / "run.yaml")
    again = folder / "again.yaml"
    again.write_text(config.to_yaml())
    assert load(again).to_yaml() == config.to_yaml()


def _write_store(folder: Path) -> None:
    options = {"num_users": 60, "num_items": 90, "num_interactions": 900, "num_topics": 5}
    config = PrepareConfig(format="synthetic", split="random", options=options, rows_per_shard=40, num_co_users=4)
    prepare(config, folder / "store", say=lambda line: None)


def _read_store(folder: Path, _: None) -> None:
    store = Store.open(folder / "store")
    store.verify()


def _read_contents(folder: Path, _: None) -> None:
    """All that training and ranking read, without `verify`."""
    store = Store.open(folder / "store")
    users = np.arange(store.manifest.num_users, dtype=np.int32)
    items = np.arange(store.manifest.num_items, dtype=np.int32)
    for graph, rows in ((store.user_item, users), (store.item_user, items), (store.user_cooccurrence, users)):
        graph.gather(rows)
    for split in ("train", "valid", "test"):
        part = store.interactions(split)
        assert len(part.users.to_numpy()) == len(part.items.to_numpy()) == len(part)
    for split in ("valid", "test"):
        store.held_out(split, users)
    for name in store.manifest.modalities:
        store.features(name).gather(items)
    store.ids("users").to_pylist()


def _write_run(folder: Path) -> None:
    options = {"num_users": 60, "num_items": 90, "num_interactions": 900, "num_topics": 5}
    sections = {
        "prepare": {"format": "synthetic", "split": "random", "options": options},
        "data": {"store": str(folder / "store")},
        "model": {"name": "bpr_mf", "width": 4},
        "train": {"epochs": 1, "eval_every": 1},
        "resources": {"num_workers": 0},
        "run": {"name": "fuzz", "output": str(folder / "runs")},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(sections))
    start_run(load(folder / "run.yaml"))


def _read_run(folder: Path, _: None) -> None:
    run = FinishedRun.read(folder / "runs" / "fuzz")
    run.learned(run.open_store())


def _read_checkpoints(folder: Path, _: None) -> None:
    manifests = sorted((folder / "runs").rglob(checkpoint.MANIFEST))
    assert manifests
    for place in (manifest.parent for manifest in manifests):
        manifest = checkpoint.check(place, World())
        for name, table in manifest.tables.items():
            checkpoint.read_rows(place, name, manifest.num_shards, torch.arange(table.num_rows))


TARGETS: dict[str, dict[str, Target]] = {
    "formats": {
        name: Target(partial(_write_format, name), _read_format) for name in sorted(WRITERS) if name != "synthetic"
    },
    "shapes": {ending: Target(partial(_write_shape, ending), _read_format) for ending in SHAPES},
    "config": {"run.yaml": Target(_write_config, _read_config)},
    "manifest": {
        "verified": Target(_write_store, _read_store),
        "contents": Target(_write_store, _read_contents, is_slow=True),  # kernels read what is not checked
    },
    "checkpoint": {"checkpoint": Target(_write_run, _read_checkpoints, "runs/fuzz/checkpoints/**/*", is_slow=True)},
    "run": {"run": Target(_write_run, _read_run, "runs/fuzz/**/*", is_slow=True)},
}
