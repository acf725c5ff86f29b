"""Every input format makes a store whose parts agree with one another and with the raw data."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.formats import FORMATS
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store

NUM_USERS, NUM_ITEMS, WIDTH = 23, 17, 5
SPLITS = ("train", "valid", "test")
TEXT_IDS = {"table": "i{:02}", "recbole": "i{:02}", "amazon": "B0000000{:02}"}
WITHOUT_ITEM_3 = (
    "table",
    "recbole",
    "movielens",
    "microlens",
    "amazon",
)  # its vector is missing in what their writers write


def raw_pairs() -> dict[str, list[tuple[int, int]]]:
    """Pairs of every split; every user and item trains at least once."""
    generator = np.random.default_rng(7)
    codes = np.where(
        generator.random((NUM_USERS, NUM_ITEMS)) < 0.4, generator.integers(1, 4, (NUM_USERS, NUM_ITEMS)), 0
    )
    codes[np.arange(NUM_USERS), np.arange(NUM_USERS) % NUM_ITEMS] = 1
    return {split: [(int(u), int(i)) for u, i in np.argwhere(codes == k + 1)] for k, split in enumerate(SPLITS)}


def vectors() -> np.ndarray:
    return np.random.default_rng(8).standard_normal((NUM_ITEMS, WIDTH)).astype(np.float32)


def table_csv(folder: Path) -> dict[str, Any]:
    rows = [(f"u{u:02}", f"i{i:02}", split) for split, pairs in raw_pairs().items() for u, i in reversed(pairs)]
    pl.DataFrame(rows, schema=["who", "what", "label"], orient="row").write_csv(folder / "raw.csv")
    lists = [None if item == 3 else vectors()[item].tolist() for item in range(NUM_ITEMS)]
    features = pl.DataFrame({"what": [f"i{i:02}" for i in range(NUM_ITEMS)], "vector": lists})
    features.sample(fraction=1, shuffle=True, seed=1).write_parquet(folder / "visual.parquet")
    options = {"user_column": "who", "item_column": "what", "split_column": "label", "id_type": "text"}
    return {"input": str(folder / "raw.csv"), "modalities": {"visual": "visual.parquet"}, "options": options}


def mmrec(folder: Path) -> dict[str, Any]:
    rows = [(u, i, k) for k, pairs in enumerate(raw_pairs().values()) for u, i in pairs]
    frame = pl.DataFrame(rows, schema=["userID", "itemID", "x_label"], orient="row")
    frame.write_csv(folder / "small.inter", separator="\t")
    np.save(folder / "image.npy", vectors())
    return {"input": str(folder), "modalities": {"visual": "image.npy"}}


def adjacency(folder: Path) -> dict[str, Any]:
    for split, pairs in raw_pairs().items():
        lines = [" ".join(map(str, [u, *(i for v, i in pairs if v == u)])) for u in range(NUM_USERS)]
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
    np.save(folder / "image.npy", vectors())
    return {"input": str(folder), "modalities": {"visual": "image.npy"}}


def dualgnn(folder: Path) -> dict[str, Any]:
    split_pairs = raw_pairs()
    np.save(folder / "train.npy", np.array(split_pairs["train"]) + np.array([0, NUM_USERS]))
    for split, file in (("valid", "val_full.npy"), ("test", "test_full.npy")):
        lists = np.empty(NUM_USERS, dtype=object)
        for user in range(NUM_USERS):
            lists[user] = [user, *(NUM_USERS + i for u, i in split_pairs[split] if u == user)]
        np.save(folder / file, lists, allow_pickle=True)
    torch.save(torch.from_numpy(vectors()), folder / "feat_v.pt")
    torch.save(torch.tensor([[4, 0, 4], [7, 2, 7]]), folder / "feat_t.pt")
    return {"input": str(folder), "modalities": {"visual": "feat_v.pt", "textual": "feat_t.pt"}}


def recbole(folder: Path) -> dict[str, Any]:
    for split, pairs in raw_pairs().items():
        lines = ["user_id:token\titem_id:token", *(f"u{u:02}\ti{i:02}" for u, i in reversed(pairs))]
        (folder / f"small.{split}.inter").write_text("\n".join(lines) + "\n")
    texts = ["" if item == 3 else " ".join(map(str, vectors()[item].tolist())) for item in range(NUM_ITEMS)]
    lines = ["item_id:token\temb:float_seq", "other\t1 2 3 4 5", *(f"i{k:02}\t{text}" for k, text in enumerate(texts))]
    (folder / "small.item").write_text("\n".join(lines) + "\n")
    return {"input": str(folder), "modalities": {"visual": "emb"}, "options": {"parts": list(SPLITS)}}


def movielens(folder: Path) -> dict[str, Any]:
    lines = [f"{u}::{i}::4.5::{k}" for k, pairs in enumerate(raw_pairs().values()) for u, i in pairs]
    (folder / "ratings.dat").write_text("\n".join(lines) + "\n")
    items = [item for item in range(NUM_ITEMS) if item != 3]
    features = pl.DataFrame({"movieId": [*items, 999], "vector": [*vectors()[items].tolist(), [0.0] * WIDTH]})
    features.write_parquet(folder / "visual.parquet")
    shares = [len(pairs) / len(lines) for pairs in raw_pairs().values()]
    section = {"split": "global_time", "split_shares": shares}
    return {"input": str(folder), "modalities": {"visual": "visual.parquet"}, **section}


def microlens(folder: Path) -> dict[str, Any]:
    rows = [(u, i, k) for k, pairs in enumerate(raw_pairs().values()) for u, i in pairs]
    pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row").write_csv(folder / "small_pairs.csv")
    items = [item for item in range(NUM_ITEMS) if item != 3]
    np.save(folder / "video.npy", vectors()[items])
    np.save(folder / "ids.npy", items)
    shares = [len(pairs) / len(rows) for pairs in raw_pairs().values()]
    section = {"split": "global_time", "split_shares": shares, "options": {"item_id_files": {"visual": "ids.npy"}}}
    return {"input": str(folder), "modalities": {"visual": "video.npy"}, **section}


def amazon(folder: Path) -> dict[str, Any]:
    rows = [(u, i, k) for k, pairs in enumerate(raw_pairs().values()) for u, i in pairs]
    reviews = [
        {"rating": 5.0, "title": "x", "parent_asin": f"B0000000{i:02}", "user_id": f"AU{u:02}", "timestamp": k}
        for u, i, k in rows
    ]
    with gzip.open(folder / "Small.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(review) + "\n" for review in reviews)
    items = [item for item in range(NUM_ITEMS) if item != 3]
    metas = [{"parent_asin": f"B0000000{i:02}", "categories": ["All", f"Of {i % 3}"]} for i in items]
    (folder / "meta_Small.jsonl").write_text("\n".join(map(json.dumps, metas)) + "\n")
    lists = vectors()[items].tolist()
    pl.DataFrame({"parent_asin": [f"B0000000{i:02}" for i in items], "v": lists}).write_parquet(folder / "v.parquet")
    shares = [len(pairs) / len(rows) for pairs in raw_pairs().values()]
    section = {"split": "global_time", "split_shares": shares}
    return {
        "input": str(folder / "Small.jsonl.gz"),
        "modalities": {"visual": "v.parquet", "kind": "categories"},
        **section,
    }


def synthetic(folder: Path) -> dict[str, Any]:
    return {"split": "random", "options": {"num_users": 60, "num_items": 90, "num_interactions": 900, "num_topics": 5}}


WRITERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "table": table_csv,
    "mmrec": mmrec,
    "adjacency": adjacency,
    "dualgnn": dualgnn,
    "recbole": recbole,
    "movielens": movielens,
    "microlens": microlens,
    "amazon": amazon,
    "synthetic": synthetic,
}


@pytest.fixture(params=sorted(FORMATS))
def section(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The prepare section of a small raw data set; a format without a writer here fails."""
    return {"format": request.param, "rows_per_shard": 8, "num_co_users": 4, **WRITERS[request.param](tmp_path)}


def test_the_store_agrees_with_itself(section: dict[str, Any], tmp_path: Path) -> None:
    store = Store.open(prepare(PrepareConfig(**section), tmp_path / "store", say=lambda line: None))
    store.verify()
    manifest = store.manifest
    assert all(shard.rows <= 8 for shard in manifest.shards)
    edges = np.zeros((manifest.num_users, manifest.num_items), dtype=int)
    for k, split in enumerate(SPLITS):
        part = store.interactions(split)
        assert len(part) == manifest.num_interactions[split] > 0
        assert (edges[part.users.to_numpy(), part.items.to_numpy()] == 0).all()  # in one split only, and once
        edges[part.users.to_numpy(), part.items.to_numpy()] = k + 1
    for user in range(manifest.num_users):
        assert store.user_item.row(user).tolist() == np.flatnonzero(edges[user] == 1).tolist()
    for item in range(manifest.num_items):
        assert store.item_user.row(item).tolist() == np.flatnonzero(edges[:, item] == 1).tolist()
    every_user = np.arange(manifest.num_users, dtype=np.int32)
    for k, split in ((1, "valid"), (2, "test")):
        offsets, items = store.held_out(split, every_user)
        for user in every_user:
            assert items[offsets[user] : offsets[user + 1]].tolist() == np.flatnonzero(edges[user] == k + 1).tolist()
    shared = (edges == 1).astype(int) @ (edges == 1).T.astype(int)
    for user in every_user:
        others = sorted((-shared[user, v], v) for v in every_user if shared[user, v] and v != user)[:4]
        assert store.user_cooccurrence.row(user).tolist() == [v for _, v in others]
        assert store.user_cooccurrence.row_counts(user).tolist() == [-count for count, _ in others]
    assert len(store.ids("users")) == manifest.num_users and len(store.ids("items")) == manifest.num_items
    every_item = np.arange(manifest.num_items, dtype=np.int32)
    assert manifest.modalities
    for name, info in manifest.modalities.items():
        assert store.features(name).gather(every_item).present.sum() == info.num_present > 0


def test_the_store_is_the_raw_data(section: dict[str, Any], tmp_path: Path) -> None:
    if section["format"] == "synthetic":
        pytest.skip("its data is made, not given")
    store = Store.open(prepare(PrepareConfig(**section), tmp_path / "store", say=lambda line: None))
    assert (store.manifest.num_users, store.manifest.num_items) == (NUM_USERS, NUM_ITEMS)
    for split, pairs in raw_pairs().items():
        part = store.interactions(split)
        assert sorted(zip(part.users.to_numpy().tolist(), part.items.to_numpy().tolist(), strict=True)) == pairs
    ids = store.ids("items").to_pylist()
    text_id = TEXT_IDS.get(section["format"])
    assert ids == [item if text_id is None else text_id.format(item) for item in range(NUM_ITEMS)]
    visual = store.features("visual").gather(np.arange(NUM_ITEMS, dtype=np.int32))
    missing = np.arange(NUM_ITEMS) == 3 if section["format"] in WITHOUT_ITEM_3 else np.zeros(NUM_ITEMS, dtype=bool)
    np.testing.assert_array_equal(visual.present, ~missing)
    np.testing.assert_array_equal(visual.values, np.where(missing[:, None], 0, vectors()))
    assert len(store.manifest.sources) >= 2


def test_threads_do_not_matter_and_the_seed_does(section: dict[str, Any], tmp_path: Path) -> None:
    def fingerprint(name: str, **changes: Any) -> str:
        config = PrepareConfig(**{**section, **changes})
        return Store.open(prepare(config, tmp_path / name, say=lambda line: None)).manifest.fingerprint

    first = fingerprint("a", num_threads=1)
    assert first == fingerprint("b", num_threads=3)
    assert first != fingerprint("c", seed=2)


def test_training_rows_are_in_random_order(section: dict[str, Any], tmp_path: Path) -> None:
    train = Store.open(prepare(PrepareConfig(**section), tmp_path / "store", say=lambda line: None)).interactions(
        "train"
    )
    users = train.users.to_numpy()
    assert (np.diff(users) < 0).mean() > 0.3
