"""Every shape of features gives the store of the same features as plain Parquet lists, or is refused in words."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dualgnn_dist.base.config import from_mapping, plain
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.formats.shapes import write_safetensors
from tests.unit.data.prepare.stores import every

Make = Callable[..., Store]
ITEMS = [f"i{k:02}" for k in range(12)]
VECTORS = np.random.default_rng(1).normal(size=(12, 3)).astype(np.float32)
ORDER = np.random.default_rng(2).permutation(12)
GENRES = [["Drama"], ["Comedy", "Drama"], [], None, ["Action", "Sci-Fi", "Drama"], ["Comedy"]] * 2


@pytest.fixture
def make(make: Make, folder: Path) -> Make:
    lines = [f"u{user},{item}" for user in range(5) for item in ITEMS]
    (folder / "log.csv").write_text("\n".join(["user,item", *lines]))

    def run(modalities: dict[str, Any], lines: list[str] | None = None) -> Store:
        options = {"id_type": "text"}
        section = {"format": "table", "input": str(folder / "log.csv"), "options": options, "split": "random"}
        return make(lines, **section, modalities=modalities)

    return run


def write_vectors(folder: Path) -> dict[str, Any]:
    """The vectors in every shape: what names them -> the modality."""
    items, vectors = [ITEMS[k] for k in ORDER], VECTORS[ORDER]
    lists = pl.DataFrame(
        {"item": items, "v": vectors.tolist(), "title": ["t"] * 12}, schema_overrides={"v": pl.List(pl.Float32)}
    )
    lists.select("item", "v").write_parquet(folder / "plain.parquet")
    lists.write_parquet(folder / "several.parquet")
    lists.with_columns(pl.col("v").list.to_array(3)).write_ipc(folder / "array.arrow")
    texts = lists.with_columns(v=pl.Series([json.dumps([float(x) for x in row]) for row in vectors]))
    texts.select("item", "v").write_csv(folder / "texts.csv")
    lists.rename({"item": "sku"}).write_ndjson(folder / "lists.jsonl")
    np.save(folder / "v.npy", vectors)
    (folder / "ids.txt").write_text("\n".join(items))
    np.savez(folder / "two.npz", clip=vectors, ids=np.array(items))
    np.savez_compressed(folder / "one.npz", vectors)
    tensors = {"clip": ("F32", vectors), "other": ("F32", vectors[:2])}
    write_safetensors(folder / "v.safetensors", tensors)
    return {
        "a list": "plain.parquet",
        "one of several columns": {"file": "several.parquet", "column": "v"},
        "an array in Arrow": {"file": "array.arrow", "column": "v"},
        "a JSON list in CSV": "texts.csv",
        "JSON lines": {"file": "lists.jsonl", "column": "v", "item_column": "sku"},
        "npy": {"file": "v.npy", "items": "ids.txt"},
        "npz": {"file": "two.npz", "column": "clip", "items": "ids"},
        "compressed npz": {"file": "one.npz", "items": "ids.txt"},
        "safetensors": {"file": "v.safetensors", "column": "clip", "items": "ids.txt"},
    }


def test_every_shape_of_vectors_gives_the_same_store(folder: Path, make: Make, tiny_blocks: None) -> None:
    shapes = write_vectors(folder)
    fingerprints = {name: make({"v": source}).manifest.fingerprint for name, source in shapes.items()}
    assert set(fingerprints.values()) == {fingerprints["a list"]}, fingerprints
    assert np.array_equal(every(make({"v": shapes["npz"]}), "v").values, VECTORS)


def test_two_modalities_of_one_file(folder: Path, make: Make) -> None:
    pl.DataFrame({"item": ITEMS, "v": VECTORS.tolist(), "genre": GENRES, "year": [1999, 2000] * 6}).write_parquet(
        folder / "items.parquet"
    )
    sources = {name: {"file": "items.parquet", "column": name} for name in ("v", "genre", "year")}
    store = make(sources)
    assert {name: info.kind for name, info in store.manifest.modalities.items()} == {
        "v": "dense",
        "genre": "tokens",
        "year": "tokens",
    }
    assert list(store.manifest.sources) == ["log.csv", "items.parquet"]
    assert store.manifest.settings["prepare"]["modalities"]["v"]["column"] == "v"


def test_half_and_brain_floats(folder: Path, make: Make) -> None:
    (folder / "ids.txt").write_text("\n".join(ITEMS))
    rounded = (VECTORS.view(np.uint32) >> 16).astype(np.uint16)
    write_safetensors(folder / "b.safetensors", {"v": ("BF16", rounded)})
    write_safetensors(folder / "h.safetensors", {"v": ("F16", VECTORS.astype(np.float16))})
    brain = make({"v": {"file": "b.safetensors", "items": "ids.txt"}})
    assert np.array_equal(every(brain, "v").values, (rounded.astype(np.uint32) << 16).view(np.float32))
    half = make({"v": {"file": "h.safetensors", "items": "ids.txt"}})
    assert half.manifest.modalities["v"].dtype == "float16"
    assert np.array_equal(every(half, "v").values, VECTORS.astype(np.float16))


def write_labels(folder: Path) -> dict[str, Any]:
    """The genres in every shape."""
    frame = pl.DataFrame({"item": ITEMS, "g": GENRES}, schema_overrides={"g": pl.List(pl.String)})[ORDER.tolist()]
    frame.write_parquet(folder / "g.parquet")
    joined = frame.with_columns(pl.col("g").list.join("|"))
    joined.write_csv(folder / "g.csv")
    frame.with_columns(
        g=pl.Series([None if row is None else json.dumps(row) for row in frame["g"].to_list()])
    ).write_csv(folder / "json.csv")
    frame.write_ndjson(folder / "g.jsonl")
    return {
        "lists": "g.parquet",
        "texts with a sign between": {"file": "g.csv", "separator": "|"},
        "JSON in CSV": "json.csv",
        "JSON lines": "g.jsonl",
    }


def test_every_shape_of_labels_gives_the_same_store(folder: Path, make: Make, tiny_blocks: None) -> None:
    shapes = write_labels(folder)
    stores = {name: make({"g": source}).manifest.fingerprint for name, source in shapes.items()}
    assert set(stores.values()) == {stores["lists"]}
    words = sorted({genre for genres in GENRES for genre in genres or []})
    feature = every(make({"g": "g.parquet"}), "g")
    expected = [[words.index(genre) for genre in genres or []] for genres in GENRES]
    assert [feature.tokens[a:b].tolist() for a, b in zip(feature.offsets, feature.offsets[1:])] == expected  # noqa: B905
    assert feature.present.tolist() == [bool(genres) for genres in GENRES]


@pytest.mark.parametrize(
    "values",
    [
        pl.Series(["a", "b", None] * 4),
        pl.Series(["a", "b", None] * 4, dtype=pl.Categorical),
        pl.Series([3, 1, None] * 4),
        pl.Series([True, False, None] * 4),
    ],
)
def test_categories_are_words(folder: Path, make: Make, values: pl.Series) -> None:
    pl.DataFrame({"item": ITEMS, "c": values}).write_parquet(folder / "c.parquet")
    feature = every(make({"c": "c.parquet"}), "c")
    order = {word: rank for rank, word in enumerate(sorted({str(value).lower() for value in values.drop_nulls()}))}
    expected = [order[str(value).lower()] for value in values.drop_nulls().to_list()]
    assert feature.tokens.tolist() == expected and feature.present.tolist() == values.is_not_null().to_list()


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_numbers_with_a_point_are_vectors_of_one(folder: Path, make: Make, ending: str) -> None:
    prices = pl.DataFrame({"item": ITEMS, "price": [k / 4 if k else None for k in range(12)]})
    prices.write_csv(folder / "p.csv") if ending == ".csv" else prices.write_parquet(folder / "p.parquet")
    feature = every(make({"price": f"p{ending}"}), "price")
    assert feature.values[:, 0].tolist() == [k / 4 for k in range(12)] and not feature.present[0]


def test_running_text_gets_the_next_step(folder: Path, make: Make) -> None:
    items = pl.DataFrame({"item": [f"i{k:02}" for k in range(60)], "title": [f"The story of {k}" for k in range(60)]})
    items.write_parquet(folder / "t.parquet")
    with pytest.raises(UserError, match=r"60 differ \(such as 'The story of 0'\).*vectors of it first"):
        make({"t": "t.parquet"})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"file": "several.parquet"}, "has several columns beside 'item': v, title; name one"),
        ({"file": "several.parquet", "column": "w"}, "has no column 'w'"),
        (
            {"file": "several.parquet", "colum": "v"},
            "unknown config key .*v.colum'; did you mean 'column'",
        ),
        ({"file": "several.parquet", "column": "v", "items": "ids.txt"}, "modalities.v.items means nothing of a table"),
        ({"file": "several.parquet", "column": "v", "separator": "|"}, "only texts have a separator"),
        ({"file": "v.npy", "column": "v", "items": "ids.txt"}, r"modalities.v.column means nothing of a \.npy file"),
        ({"file": "v.npy", "item_column": "item"}, "modalities.v.item_column means nothing of a matrix"),
        (
            "v.npy",
            r"v.npy is keyed by row, ids are texts; name their items .*\{v: \{file: v.npy, items: IDS\}\}",
        ),
        ({"file": "two.npz", "items": "ids.txt"}, "two.npz holds the arrays clip, ids; name one"),
        ({"file": "two.npz", "column": "clp", "items": "ids"}, "two.npz holds no array 'clp'; did you mean 'clip'"),
        ({"file": "two.npz", "column": "ids", "items": "ids"}, r"two.npz/ids must hold numbers of shape \[items, D\]"),
        ({"file": "v.safetensors", "column": "other", "items": "ids.txt"}, "has 2 rows, but there are 12 item ids"),
        ({"file": "objects.npz", "items": "ids.txt"}, "objects.npz: the array 'arr_0' holds Python objects"),
        ({"file": "q.safetensors", "items": "ids.txt"}, "the tensor 'v' holds F8_E4M3; save it as one of F64"),
        ({"file": "huge.safetensors", "items": "ids.txt"}, "its header would have .* bytes"),
    ],
)
def test_what_a_source_cannot_be(folder: Path, make: Make, source: Any, words: str) -> None:
    write_vectors(folder)
    np.savez(folder / "objects.npz", np.array([{}], dtype=object))
    write_safetensors(folder / "q.safetensors", {"v": ("F8_E4M3", VECTORS)})
    (folder / "huge.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(UserError, match=words):
        make({"v": source})


@pytest.mark.parametrize("name", ["one.npz", "two.npz", "v.safetensors", "array.arrow", "several.parquet"])
def test_damaged_files_are_refused_in_words(folder: Path, make: Make, name: str) -> None:
    shapes = write_vectors(folder)
    source = next(each for each in shapes.values() if isinstance(each, dict) and each["file"] == name)
    whole = (folder / name).read_bytes()
    generator = np.random.default_rng(5)
    before = make({"v": source}).manifest.fingerprint
    num_refused = 0
    for size in [0, 1, 7, 8, 20, *generator.integers(0, len(whole), 12)]:
        (folder / name).write_bytes(whole[:size])
        with pytest.raises(UserError):
            make({"v": source})
    for place in generator.integers(0, len(whole), 25):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(generator.integers(0, 8))
        (folder / name).write_bytes(damaged)
        try:
            make({"v": source})
        except UserError:
            num_refused += 1
    assert num_refused or name == "v.safetensors"
    (folder / name).write_bytes(whole)
    assert make({"v": source}).manifest.fingerprint == before


def test_an_archive_that_lies_about_its_size(folder: Path, make: Make) -> None:
    write_vectors(folder)
    with zipfile.ZipFile(folder / "lie.npz", "w") as archive:
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 3), }"
        archive.writestr("v.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 24)
    with pytest.raises(UserError, match="99999999999 rows, but there are 12"):
        make({"v": {"file": "lie.npz", "items": "ids.txt"}})


def test_a_mapping_survives_the_config_and_is_refused_elsewhere() -> None:
    section = {"format": "table", "input": "a", "modalities": {"v": {"file": "a.npz", "column": "x"}, "w": "w.npy"}}
    config = from_mapping(PrepareConfig, section)
    assert from_mapping(PrepareConfig, plain(config)) == config
    assert plain(config)["modalities"]["w"] == "w.npy"
    with pytest.raises(UserError, match=r"modalities.v must be a text for the format 'recbole', not a mapping"):
        from_mapping(PrepareConfig, {**section, "format": "recbole"})
