"""Tables in memory give the very store of the same data in a Parquet file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch

from dualgnn_dist import UserError, prepare_table
from dualgnn_dist.base.config import from_mapping
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store

RANDOM = np.random.default_rng(3)
LOG = pl.DataFrame(
    {"user": RANDOM.integers(0, 9, 80), "item": RANDOM.integers(0, 7, 80), "time": np.arange(80) + 1_700_000_000}
)
ITEMS = sorted(set(LOG["item"].to_list()))
VECTORS = RANDOM.normal(size=(len(ITEMS), 4)).astype(np.float32)
SETTINGS: dict[str, Any] = {"split": "leave_one_out", "options": {"timestamp_column": "time"}}


class Dataset:
    """What of a Hugging Face `Dataset` is used; `chosen` is its selection of rows, which its Arrow table lacks."""

    def __init__(self, table: pa.Table, chosen: list[int]) -> None:
        self.table, self.chosen = table, chosen

    def with_format(self, kind: str) -> Dataset:
        assert kind == "arrow"
        return self

    def __getitem__(self, rows: slice) -> pa.Table:
        return self.table.take(self.chosen)[rows]


TABLES: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda frame: frame,
    "lazy": lambda frame: frame.lazy(),
    "pandas": lambda frame: frame.to_pandas(),
    "arrow": lambda frame: frame.to_arrow(),
    "record batches": lambda frame: pa.RecordBatchReader.from_batches(
        frame.to_arrow().schema, frame.to_arrow().to_batches(max_chunksize=7)
    ),
    "arrays": lambda frame: {name: frame[name].to_numpy() for name in frame.columns},
    "lists": lambda frame: frame.to_dict(as_series=False),
    "tensors": lambda frame: {name: torch.from_numpy(frame[name].to_numpy().copy()) for name in frame.columns},
    "hugging face": lambda frame: Dataset(pa.concat_tables([frame.to_arrow()] * 2), list(range(len(frame)))),
}
FEATURES: dict[str, Callable[[], Any]] = {
    "a table": lambda: pl.DataFrame({"item": ITEMS, "v": VECTORS}),
    "a column": lambda: (pl.DataFrame({"item": ITEMS, "title": "t", "v": VECTORS}).to_arrow(), "v"),
    "ids and an array": lambda: (ITEMS, VECTORS),
    "ids and a tensor": lambda: (np.array(ITEMS), torch.from_numpy(VECTORS)),
    "arrays": lambda: {"item": np.array(ITEMS), "v": VECTORS},
    "by row": lambda: VECTORS,
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("plain")
    LOG.write_parquet(folder / "log.parquet")
    pl.DataFrame({"item": ITEMS, "v": VECTORS}).write_parquet(folder / "v.parquet")
    section = {"format": "table", "input": str(folder / "log.parquet"), "modalities": {"v": "v.parquet"}, **SETTINGS}
    return Store.open(prepare(from_mapping(PrepareConfig, section), folder / "store", lambda line: None))


def make(folder: Path, table: Any, modalities: Any = None, **settings: Any) -> Store:
    return prepare_table(folder / "store", table, modalities, say=lambda line: None, **{**SETTINGS, **settings})


@pytest.mark.parametrize("kind", TABLES)
def test_every_kind_of_table(tmp_path: Path, plain: Store, kind: str) -> None:
    store = make(tmp_path, TABLES[kind](LOG), {"v": FEATURES["a table"]()})
    assert store.manifest.fingerprint == plain.manifest.fingerprint
    assert set(store.manifest.sources) == {"interactions", "v"}


@pytest.mark.parametrize("kind", FEATURES)
def test_every_kind_of_features(tmp_path: Path, plain: Store, kind: str) -> None:
    assert make(tmp_path, LOG, {"v": FEATURES[kind]()}).manifest.fingerprint == plain.manifest.fingerprint


def test_a_checksum_is_of_the_content(tmp_path: Path) -> None:
    sums = []
    for k, frame in enumerate((LOG, LOG.to_arrow(), LOG.with_columns(time=pl.col("time") + 1))):
        sums.append(make(tmp_path / str(k), frame).manifest.sources["interactions"])
    assert sums[0] == sums[1] != sums[2]


@pytest.mark.parametrize(
    ("table", "modalities", "settings", "words"),
    [
        (LOG.rename({"user": "usr"}), {}, {}, "interactions has no column 'user'; did you mean 'usr'"),
        (LOG.with_columns(user=-1), {}, {}, "interactions, row 0: user -1 is not a whole number"),
        (17, {}, {}, "interactions cannot be taken as a table: a int is no polars"),
        ({"user": [1, 2], "item": [1]}, {}, {}, "interactions cannot be taken as a table"),
        (LOG, {"v": "v.parquet"}, {}, "v cannot be taken as a table: a str is no polars"),
        (LOG, {"v": (ITEMS, "v")}, {}, "v cannot be taken as a table"),
        (LOG, {"v": (ITEMS, [1, 2])}, {}, r"modality 'v': \(items, array\) needs an array \[rows, D\], not a list"),
        (LOG, {"v": (ITEMS[1:], VECTORS)}, {}, "v has .* rows, but there are .* item ids for them"),
        (LOG, {"v": VECTORS[0]}, {}, r"v must hold numbers of shape \[items, D\]"),
        (LOG, {"v": VECTORS}, {"options": {"id_type": "text"}, "split": "random"}, "give it as .items, array."),
        (LOG, {}, {"input": "log.csv"}, "prepare_table takes tables"),
        (LOG, {}, {"splitt": "random"}, "unknown config key 'prepare.splitt'; did you mean 'split'"),
    ],
)
def test_what_is_no_table(tmp_path: Path, table: Any, modalities: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        make(tmp_path, table, modalities, **settings)
    assert not (tmp_path / "store").exists()
