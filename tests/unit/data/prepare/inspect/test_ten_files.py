"""What is printed of ten kinds of files prepares without an edit, and the store has what the file has."""

from __future__ import annotations

import gzip
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dualgnn_dist.base.config import from_mapping
from dualgnn_dist.base.documents import read_yaml_text
from dualgnn_dist.base.screen import nothing
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.inspect.inspection import inspect
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store

GENERATOR = np.random.default_rng(5)
NUM_USERS, NUM_ITEMS, NUM_PAIRS = 12, 9, 60
PAIRS = np.stack(
    np.divmod(GENERATOR.permutation(np.r_[np.arange(60), GENERATOR.choice(np.arange(60, 108), 12)]), NUM_ITEMS), axis=1
)
PAIRS = np.unique(PAIRS, axis=0)[GENERATOR.permutation(len(np.unique(PAIRS, axis=0)))]
TIMES = 1_704_067_200 + GENERATOR.permutation(len(PAIRS)) * 3600
RATINGS = GENERATOR.integers(1, 6, len(PAIRS))
ROWS = [(int(u) + 1, int(i) + 1, int(r), int(t)) for (u, i), r, t in zip(PAIRS, RATINGS, TIMES, strict=True)]
COUNTS = (len({row[0] for row in ROWS}), len({row[1] for row in ROWS}), len(ROWS))


def iso(seconds: int) -> str:
    return f"{np.datetime64(seconds, 's')}Z"


def comma_csv(folder: Path) -> Path:
    rows = [*ROWS, ROWS[0]]  # once more: a duplicate
    (folder / "log.csv").write_text("userId,productId,ts\n" + "".join(f"{u},{i},{t}\n" for u, i, _, t in rows))
    return folder / "log.csv"


def semicolons_in_latin_1(folder: Path) -> Path:
    lines = "".join(f"{u};süß {i};{iso(t)};Größe\n" for u, i, _, t in ROWS)
    (folder / "shop.csv").write_text("customer;article;bought_at;what\n" + lines, encoding="latin-1")
    return folder / "shop.csv"


def headerless_tsv(folder: Path) -> Path:
    (folder / "log.tsv").write_text("".join(f"u{u}\t{i}\t{r}\t{t}\n" for u, i, r, t in ROWS))
    return folder / "log.tsv"


def json_lines(folder: Path) -> Path:
    records = [{"user": {"id": u, "country": "at"}, "sku": f"A-{i}", "ts": iso(t)} for u, i, _, t in ROWS]
    with gzip.open(folder / "events.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    return folder / "events.jsonl.gz"


def parquet_with_nulls(folder: Path) -> Path:
    users, items, _, times = zip(*ROWS, strict=True)
    columns = {
        "event_time": pl.Series([*times, times[0], times[0]]).cast(pl.Datetime("ms")),
        "product_id": pl.Series([*items, None, 1]) + (1 << 60),
        "user_id": [*users, 3, None],
    }
    pl.DataFrame(columns).write_parquet(folder / "log.parquet")
    return folder / "log.parquet"


def events(folder: Path) -> Path:
    lines = "".join(f"{t}000,{'view' if r < 4 else 'transaction'},{u},{i}\n" for u, i, r, t in ROWS)
    (folder / "events.csv").write_text("timestamp,event,visitorid,itemid\n" + lines)
    return folder / "events.csv"


def movielens_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "ml-tiny.zip", "w") as archive:
        archive.writestr("ml-tiny/ratings.dat", "".join(f"{u}::{i}::{r}::{t}\n" for u, i, r, t in ROWS))
        archive.writestr("ml-tiny/movies.dat", "".join(f"{i}::Film {i}::Comedy\n" for i in range(1, 10)))
    return folder / "ml-tiny.zip"


def microlens_pairs(folder: Path) -> Path:
    lines = "".join(f"{u},{i},{t}000\n" for u, i, _, t in ROWS)
    (folder / "MicroLens-tiny_pairs.csv").write_text("user,item,timestamp\n" + lines)
    return folder


def amazon_reviews(folder: Path) -> Path:
    records = [
        {"user_id": f"U{u}", "parent_asin": f"B{i:09}", "asin": f"B{i:09}", "rating": float(r), "timestamp": t * 1000}
        for u, i, r, t in ROWS
    ]
    with gzip.open(folder / "All_Beauty.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    with gzip.open(folder / "meta_All_Beauty.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"parent_asin": f"B{i:09}", "store": f"s{i % 2}"}) + "\n" for i in range(1, 10))
    return folder / "All_Beauty.jsonl.gz"


def atomic_files(folder: Path) -> Path:
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    (folder / "games.inter").write_text(header + "".join(f"{u}\t{i}\t{r}\t{t}\n" for u, i, r, t in ROWS))
    (folder / "games.item").write_text(
        "item_id:token\tgenre:token_seq\n" + "".join(f"{i}\ta b\n" for i in range(1, 10))
    )
    return folder / "games.inter"


def ratings_with_text_ids(folder: Path) -> Path:
    lines = "".join(f"{u:03},book {i},{r}\n" for u, i, r, _ in ROWS)
    (folder / "ratings.txt").write_text("reader,book,stars\n" + lines)
    return folder / "ratings.txt"


@pytest.mark.parametrize(
    ("write", "format", "options", "split", "said"),
    [
        (
            comma_csv,
            "table",
            {"user_column": "userId", "item_column": "productId", "timestamp_column": "ts"},
            "leave_one_out",
            "; 1 (",
        ),
        (
            semicolons_in_latin_1,
            "table",
            {
                "user_column": "customer",
                "item_column": "article",
                "timestamp_column": "bought_at",
                "id_type": "text",
                "separator": ";",
                "encoding": "latin-1",
            },
            "leave_one_out",
            "since 1970, from 2024-01-01",
        ),
        (
            headerless_tsv,
            "table",
            {"timestamp_column": "timestamp", "id_type": "text", "columns": ["user", "item", "rating", "timestamp"]},
            "leave_one_out",
            "no header",
        ),
        (
            json_lines,
            "table",
            {"user_column": "user.id", "item_column": "sku", "timestamp_column": "ts", "id_type": "text"},
            "leave_one_out",
            "JSON lines",
        ),
        (
            parquet_with_nulls,
            "table",
            {
                "user_column": "user_id",
                "item_column": "product_id",
                "timestamp_column": "event_time",
                "nulls": "drop",
            },
            "leave_one_out",
            "nulls: drop   # leaves out 2 rows",
        ),
        (
            events,
            "table",
            {"user_column": "visitorid", "item_column": "itemid", "timestamp_column": "timestamp"},
            "leave_one_out",
            "# where: event != 'view'   # leaves ",
        ),
        (movielens_zip, "movielens", {}, "leave_one_out", "# modalities: {genre: genres}"),
        (microlens_pairs, "microlens", {}, "leave_one_out", "milliseconds since 1970"),
        (amazon_reviews, "amazon", {}, "leave_one_out", "# modalities: {store: store}"),
        (atomic_files, "recbole", {}, "leave_one_out", "# modalities: {genre: genre}"),
        (
            ratings_with_text_ids,
            "table",
            {"user_column": "reader", "item_column": "book", "id_type": "text", "separator": ","},
            "random",
            "# min_rating: 4   # leaves ",
        ),
    ],
)
def test_what_is_printed_prepares_without_an_edit(
    write: Callable[[Path], Path],
    format: str,
    options: dict[str, Any],
    split: str,
    said: str,
    folder: Path,
) -> None:
    page = inspect(write(folder), store=str(folder.parent / "store"))
    values = read_yaml_text(page)
    assert values["prepare"]["format"] == format and values["prepare"]["split"] == split
    assert values["prepare"].get("options", {}) == options
    assert said in page
    config = from_mapping(PrepareConfig, values["prepare"], "prepare")
    manifest = Store.open(prepare(config, Path(values["data"]["store"]), nothing)).manifest
    assert (manifest.num_users, manifest.num_items, sum(manifest.num_interactions.values())) == COUNTS
    assert f"{COUNTS[0]} users, {COUNTS[1]} items, {COUNTS[2]} interactions" in page


@pytest.mark.parametrize(
    ("write", "num_interactions"),
    [
        (events, sum(rating >= 4 for _, _, rating, _ in ROWS)),
        (movielens_zip, sum(rating >= 4 for _, _, rating, _ in ROWS)),
        (amazon_reviews, sum(rating >= 4 for _, _, rating, _ in ROWS)),
        (atomic_files, sum(rating >= 4 for _, _, rating, _ in ROWS)),
        (ratings_with_text_ids, sum(rating >= 4 for _, _, rating, _ in ROWS)),
    ],
)
def test_what_is_proposed_works_when_it_is_uncommented(
    write: Callable[[Path], Path], num_interactions: int, folder: Path
) -> None:
    page = inspect(write(folder), store=str(folder.parent / "store"))
    assert f"leaves {num_interactions} of {len(ROWS)} r" in page
    page, num_lines = re.subn(r"^( +)# (?!k_core)", r"\1", page, flags=re.MULTILINE)
    assert num_lines > 0
    values = read_yaml_text(page)
    values["prepare"]["split_shares"] = [0.6, 0.2, 0.2]  # of so few
    config = from_mapping(PrepareConfig, values["prepare"], "prepare")
    manifest = Store.open(prepare(config, Path(values["data"]["store"]), nothing)).manifest
    assert sum(manifest.num_interactions.values()) == num_interactions
    assert set(manifest.modalities) == set(values["prepare"].get("modalities", {}))
