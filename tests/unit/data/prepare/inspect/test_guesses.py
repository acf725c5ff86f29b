"""Which column is which, how a text is written, and what is said where nothing fits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dualgnn_dist.base.config import from_mapping
from dualgnn_dist.base.documents import read_yaml_text
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.inspect.inspection import _profiled, inspect
from dualgnn_dist.data.prepare.inspect.roles import roles_of
from dualgnn_dist.data.prepare.inspect.sources import source_of

ROWS = [(user, (user * step) % 11, 1 + (user + step) % 5) for user in range(10) for step in range(1, 9)]

PAIRS = {(user, item) for user, item, _ in ROWS}


def written(folder: Path, name: str, header: str, row: str = "{user},{item},{rating}", **how: Any) -> Path:
    lines = (row.format(user=user, item=item, rating=rating, k=k) for k, (user, item, rating) in enumerate(ROWS))
    (folder / name).write_text("\n".join([*filter(None, [header]), *lines, ""]), **how)
    return folder / name


def prepared(page: str) -> dict[str, Any]:
    section = read_yaml_text(page)["prepare"]
    from_mapping(PrepareConfig, section, "prepare")
    return section


@pytest.mark.parametrize(
    ("header", "row", "chosen"),
    [
        (
            "order_id,user_name,customer_id,product_name,product_id,price,order_date",
            "{k},n{user},{user},p{item},{item},{rating}.99,2024-01-02 10:00:00",
            {"user": "customer_id", "item": "product_id", "timestamp": "order_date"},
        ),
        (
            ",who,thing,score",
            "{k},{user},{item},{rating}",
            {"user": "who", "item": "thing", "rating": "score"},
        ),
        (
            "registered_at,watch_time,time_ms,userID,videoId",
            "2020-01-01,{rating}.5,17000{k:02}000000,{user},{item}",
            {"user": "userID", "item": "videoId", "timestamp": "time_ms"},
        ),
        (
            "session,user,action,sku",
            "s{k},{user},buy {rating},{item}",
            {"user": "user", "item": "sku", "event": "action"},
        ),
        ("a,b,c", "{user},{item},2024-01-{rating:02}", {"user": "a", "item": "b", "timestamp": "c"}),
        ("user,item,time", "{user},{item},05/06/2024", {"user": "user", "item": "item"}),  # no ISO time
        ("user,item,split", "{user},{item},train", {"user": "user", "item": "item"}),  # one label is no split
    ],
)
def test_which_column_is_which(header: str, row: str, chosen: dict[str, str], folder: Path) -> None:
    _, profiles = _profiled(source_of(written(folder, "log.csv", header, row)))
    assert {what: role.column for what, role in roles_of(profiles).items()} == chosen


@pytest.mark.parametrize(
    ("name", "header", "row", "how", "options"),
    [
        ("log.csv", "user,item", '{user},"{item}\n"', {}, {"id_type": "text", "quotes": "many_lines"}),
        ("log.csv", "user,item,what", '{user},{item},"{rating}', {}, {"quotes": "none"}),
        ("log.csv", "user|item", "{user}|{item}", {}, {"separator": "|"}),
        ("log.csv", "user\titem", "{user}\t{item}", {}, {"separator": "\t"}),
        ("log.txt", "", "u{user} i{item}", {}, {"id_type": "text", "separator": " ", "columns": ["user", "item"]}),
        ("log", "user,item", "{user},{item}", {}, {"separator": ","}),
        ("log.csv", "user,item", "{user:03},{item}", {}, {"id_type": "text"}),  # 007 is not 7
        ("log.csv", "user,item", "ü{user},{item}", {"encoding": "utf-16"}, {"id_type": "text", "encoding": "utf-16"}),
        ("log.csv", "user,item", "€{user},{item}", {"encoding": "cp1252"}, {"id_type": "text", "encoding": "cp1252"}),
        ("log.csv", "user,item", "alice,{item}", {}, {"id_type": "text"}),
        ("log.csv", "", "alice {user},book {item}", {}, {"id_type": "text", "columns": ["user", "item"]}),
        ("log.csv", "user;item;price", "{user};{item};{rating},99", {}, {"separator": ";"}),
        ("log.csv", "user,item,genres", "{user},{item},a|b|c", {}, {}),
    ],
)
def test_how_a_text_is_written(
    name: str, header: str, row: str, how: dict[str, Any], options: dict[str, Any], folder: Path
) -> None:
    section = prepared(inspect(written(folder, name, header, row, **how)))
    assert section.get("options", {}) == options and section["split"] == "random"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "a.csv cannot be inspected: it is empty"),
        ("a.csv", "user,item\n", "a.csv cannot be inspected: it has no rows"),
        ("a.csv", "user\n1\n2\n", "an interaction has at least a user and an item"),
        ("a.csv", '{"user": 1}\n', "it holds JSON; name it .jsonl, with an object a line"),
        ("a.bin", "\0\1\2", "it is neither a text nor named as what it is"),
        ("a.json", "[1]", "this is one JSON array"),
        ("a.csv", "user,item,user\n1,2,3\n", "which columns hold users and items? It cannot be told from item"),
        ("a.csv", "user,item\n1,2\n", "a.csv is for the format 'table', but cannot be prepared: the split"),
        ("items.csv", "item,title\n" + "".join(f"{k},t{k % 5}\n" for k in range(30)), "looks like a catalogue"),
    ],
)
def test_what_fits_nothing_says_why(name: str, text: str, message: str, folder: Path) -> None:
    (folder / name).write_text(text)
    with pytest.raises(UserError, match=re.escape(message)):
        inspect(folder / name)


def test_a_folder_of_parts_a_pattern_and_what_is_no_layout(folder: Path) -> None:
    written(folder, "a.csv", "user;item", "{user};{item}")
    assert prepared(inspect(folder))["input"] == str(folder / "a.csv")  # the only one is meant
    written(folder, "b.csv", "user;item", "{user};{item}")
    page = inspect(folder)
    assert prepared(page)["input"] == str(folder) and prepared(page)["options"] == {"separator": ";"}
    assert "2 files, each a text file" in page and f"160 rows; {160 - len(PAIRS)} (" in page
    page = inspect(folder / "[a]*.csv")
    assert prepared(page)["input"] == {"glob": str(folder / "[a]*.csv")} and f"80 rows; {80 - len(PAIRS)} (" in page
    (folder / "c.md").write_text("words")
    with pytest.raises(UserError, match="holds files of several kinds"):
        inspect(folder)


def test_what_lies_behind_a_url(folder: Path) -> None:
    for name in ("a.csv", "b.csv"):
        written(folder, name, "user,item,title", '{user},{item},"5 {user}')
    page = inspect((folder / "a.csv").as_uri())
    assert prepared(page)["input"] == (folder / "a.csv").as_uri() and prepared(page)["options"] == {"quotes": "none"}
    page = inspect(f"{folder.as_uri()}/*.csv")
    assert prepared(page)["input"] == {"glob": f"{folder.as_uri()}/*.csv"} and "2 files" in page
    assert read_yaml_text(page)["data"]["store"] == "stores/mine" and prepared(page)["options"] == {"quotes": "none"}
    with pytest.raises(UserError, match=f"there is nothing at {folder.as_uri()}/none.csv"):
        inspect(f"{folder.as_uri()}/none.csv")


def test_folders_that_say_a_day_have_times_of_their_own(folder: Path) -> None:
    for day in range(1, 5):
        (folder / f"date=2024-01-0{day}").mkdir()
        rows = [(user, item, f"2024-01-0{day}T10:00:0{rating}Z") for user, item, rating in ROWS[day * 10 :]]
        frame = pl.DataFrame(rows, schema=["user_id", "product_id", "event_time"], orient="row")
        frame.write_parquet(folder / f"date=2024-01-0{day}/part.parquet")
    page = inspect(folder)
    assert prepared(page)["options"]["timestamp_column"] == "event_time" and "4 files, each Parquet" in page


def test_times_that_mix_units_are_left_out_and_why_is_said(folder: Path) -> None:
    page = inspect(written(folder, "log.csv", "user,item,time", "{user},{item},1700{k:06}"))
    assert prepared(page)["split"] == "leave_one_out"
    path = written(folder, "mixed.csv", "user,item,time", "{user},{item},1700000000")
    path.write_text(path.read_text() + "1,2,1700000000000\n")
    page = inspect(path)
    assert prepared(page)["split"] == "random" and "timestamp_column" not in prepared(page).get("options", {})
    assert re.search(r"split: random   # the times in time mix seconds .* and milliseconds", page)


def test_words_for_no_value_are_pointed_at(folder: Path) -> None:
    path = written(folder, "log.csv", "user,item", "{user},{item}")
    path.write_text(path.read_text() + "NULL,3\nNULL,4\n")
    page = inspect(path)
    (line,) = (line for line in page.splitlines() if "NULL" in line)
    assert line.startswith("# user is 'NULL' in 2 rows, a text like any other; to leave them out: where: ")
    assert read_yaml_text(line.rpartition("out: ")[2]) == {"where": "\"user\" != 'NULL'"}  # user alone is a function
    page = page.replace("  options:\n", f"  options:\n    {line.rpartition('out: ')[2]}\n")
    assert prepared(page)["options"].keys() == {"id_type", "where"}


@pytest.mark.parametrize(("name", "chosen"), [("event", "event = 'b'"), ("Event Type", "\"Event Type\" = 'b'")])
def test_events_are_filtered_by_names_that_sql_knows(name: str, chosen: str, folder: Path) -> None:
    path = written(folder, "log.csv", f"user,item,{name}", "{user},{item},a")
    path.write_text(path.read_text() + "1,3,b\n")
    page = inspect(path)
    line = next(line for line in page.splitlines() if "# where: " in line)
    assert read_yaml_text(line.strip(" #")) == {"where": chosen} and line.endswith("# leaves 1 of 81 rows")


def test_modalities_are_named_or_proposed(folder: Path) -> None:
    log = written(folder, "log.csv", "user,sku", "{user},{item}")
    vectors = np.ones((11, 3)).tolist()
    pl.DataFrame({"sku": range(11), "v": vectors}).write_parquet(folder / "clip.parquet")
    kinds = {"kind": ["x", "y"] * 5 + ["x"], "tags": ["a|b"] * 11, "title": [f"text {k}" for k in range(11)]}
    pl.DataFrame({"sku": range(11), **kinds, "audio": vectors}).write_parquet(folder / "items.parquet")
    (folder / "more.jsonl").write_text('{"sku": 1, "of": {"a": 1}}\n')
    pl.DataFrame({"product": range(11), "title": kinds["title"]}).write_csv(folder / "titles.csv")
    columns = {name: {"file": "items.parquet", "column": name} for name in ("audio", "kind", "tags")}
    columns["tags"]["separator"] = "|"
    line = next(line for line in inspect(log).splitlines() if "# modalities: " in line)
    assert line.endswith("# vectors; categories; labels")
    assert read_yaml_text(line.strip("# ")) == {"modalities": {"clip": "clip.parquet", **columns}}
    page = inspect(log, ["visual=clip.parquet", f"kind={folder / 'items.parquet'}", "sound=items.parquet"])
    assert prepared(page)["modalities"] == {
        "visual": "clip.parquet",
        "kind": columns["kind"],
        "sound": columns["audio"],
    }
    for text, message in {
        "visual": "must read NAME=FILE",
        "visual=clap.parquet": "there is no such file, here or in .*; did you mean 'clip.parquet'",
        "title=titles.csv": "nothing beside them that a model reads, in its columns product, title; for texts see docs",
    }.items():
        with pytest.raises(UserError, match=message):
            inspect(log, [text])


def test_values_from_outside_stay_comments(folder: Path) -> None:
    records = [{"user": user, "item": f"x\nprepare: {item}\x1b[31m"} for user, item, _ in ROWS]
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    page = inspect(folder / "log.jsonl")
    assert "\x1b" not in page and page.count("\nprepare:") == 1
    prepared(page)


def test_nested_keys_and_floats_and_categories(folder: Path) -> None:
    frame = pl.DataFrame({"u": [float(user) for user, _, _ in ROWS], "i": [f"i{item}" for _, item, _ in ROWS]})
    frame = frame.with_columns(pl.col("i").cast(pl.Categorical), u=pl.when(pl.col("u") != 3).then("u"))
    frame.write_parquet(folder / "log.parquet")
    page = inspect(folder / "log.parquet")
    assert prepared(page)["options"] == {"user_column": "u", "item_column": "i", "id_type": "text", "nulls": "drop"}
    assert "nulls: drop   # leaves out 8 rows" in page


def test_folders_of_known_layouts(folder: Path) -> None:
    header = "user_id:token\titem_id:token\n"
    for part, rows in {"train": ROWS[:60], "valid": ROWS[60:70], "test": ROWS[70:]}.items():
        lines = "".join(f"{user}\t{item}\n" for user, item, _ in rows)
        (folder / f"games.{part}.inter").write_text(header + lines)
    section = prepared(inspect(folder / "games.test.inter"))
    assert (section["format"], section["input"], section["split"]) == ("recbole", str(folder), "given")
    assert section["options"] == {"parts": ["train", "valid", "test"], "dataset": "games"}
    labelled = folder.parent / "labelled"
    labelled.mkdir()
    lines = "".join(f"{user}\t{item}\t{k % 3}\n" for k, (user, item, _) in enumerate(ROWS))
    (labelled / "a.inter").write_text("userID\titemID\tx_label\n" + lines)
    np.save(labelled / "image-feat.npy", np.ones((11, 2)))
    page = inspect(labelled)
    assert prepared(page)["format"] == "mmrec" and "# modalities: {image_feat: image-feat.npy}   # by row" in page
    lists = folder.parent / "lists"
    lists.mkdir()
    for first, part in enumerate(("train", "test")):
        lines = (" ".join(map(str, range(first * 9, first * 9 + 9))) for _ in range(9))
        (lists / f"{part}.txt").write_text("".join(f"{user} {items}\n" for user, items in enumerate(lines)))
    page = inspect(lists)
    assert prepared(page)["format"] == "adjacency" and prepared(page)["options"] == {"valid": None}
    assert "split: random   # the split 'given' leaves no valid interaction" in page


def test_ratings_of_amazon_without_a_header(folder: Path) -> None:
    for order, row in {"user": "A{user:09},B{item:09},{rating}.0,17000000{k:02}", "item": None}.items():
        row = row or "B{item:09},A{user:09},{rating}.0,17000000{k:02}"
        page = inspect(written(folder, f"{order}.csv", "", row))
        assert prepared(page)["format"] == "amazon" and "10 users, 11 items" in page
