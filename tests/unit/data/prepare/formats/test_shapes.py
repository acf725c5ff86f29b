"""Whatever shape a log comes in, the store is that of the same rows in one Parquet file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.config import from_mapping
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.prepare.raw_data import Glob
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.formats.shapes import WRITERS

Make = Callable[..., Store]
SECTION: dict[str, Any] = {"format": "table", "split": "leave_one_out", "options": {"timestamp_column": "time"}}


def log(num_rows: int = 90) -> pl.DataFrame:
    random = np.random.default_rng(7)
    return pl.DataFrame(
        {
            "user": random.integers(0, 9, num_rows) + 2**40,
            "item": random.integers(0, 8, num_rows),
            "time": 1_700_000_000 + np.arange(num_rows),
            "country": np.repeat(["at", "b/c d", "ch"], num_rows // 3),
        }
    )


@pytest.fixture
def expected(folder: Path, make: Make) -> str:
    log().write_parquet(folder / "plain.parquet")
    fingerprint = make(**SECTION, input=str(folder / "plain.parquet")).manifest.fingerprint
    (folder / "plain.parquet").unlink()
    return fingerprint


def parts_of(frame: pl.DataFrame, folder: Path, ending: str, sizes: list[int]) -> None:
    """Parts in the order of their rows, in two folders, among files that are none."""
    start = 0
    for k, size in enumerate(sizes):
        below = folder / f"{k // 3:02}"
        below.mkdir(parents=True, exist_ok=True)
        WRITERS[ending](frame[start : start + size], below / f"part-{k:03}{ending}")
        start += size
    assert start == len(frame)
    (folder / "_SUCCESS").touch()
    (folder / "00" / f".part-000{ending}.crc").write_text("x")


@pytest.mark.parametrize("ending", WRITERS)
def test_a_file_and_its_parts(folder: Path, make: Make, expected: str, ending: str, tiny_blocks: None) -> None:
    WRITERS[ending](log(), folder / f"log{ending}")
    assert make(**SECTION, input=str(folder / f"log{ending}")).manifest.fingerprint == expected
    parts_of(log(), folder / "parts", ending, [1, 30, 2, 2, 41, 14])
    store = make(**SECTION, input=str(folder / "parts"))
    assert store.manifest.fingerprint == expected
    assert len(store.manifest.sources) == 6 and f"part-000{ending}" in store.manifest.sources
    for pattern in (f"parts/*/part-*{ending}", f"parts/**/*{ending}", f"**/part-00?{ending}"):
        store = make(**SECTION, input={"glob": str(folder / pattern)})
        assert store.manifest.fingerprint == expected, pattern


@pytest.mark.parametrize("ending", [".csv.gz", ".jsonl", ".parquet"])
def test_folders_that_say_a_column(folder: Path, make: Make, expected: str, ending: str) -> None:
    for (country,), part in log().group_by("country", maintain_order=True):
        name = str(country).replace("/", "%2F")
        (folder / "hive" / f"country={name}").mkdir(parents=True)
        WRITERS[ending](part.drop("country"), folder / "hive" / f"country={name}" / f"p{ending}")
    store = make(**SECTION, input=str(folder / "hive"))
    assert store.manifest.fingerprint == expected
    assert set(store.manifest.sources) == {f"country={name}/p{ending}" for name in ("at", "b%2Fc d", "ch")}
    chosen = {**SECTION, "options": {"timestamp_column": "time", "where": "country in ('at', 'b/c d')"}}
    WRITERS[".parquet"](log()[:60], folder / "two.parquet")
    two = make(**SECTION, input=str(folder / "two.parquet")).manifest.fingerprint
    store = make(**chosen, input=str(folder / "hive"))
    assert store.manifest.fingerprint == two and store.manifest.settings["rows"]["where"] == 30


def test_a_folder_without_a_value_is_null(folder: Path, make: Make) -> None:
    for name, part in (("x", log()[:60]), ("__HIVE_DEFAULT_PARTITION__", log()[60:])):
        (folder / "hive" / f"key={name}").mkdir(parents=True)
        part.write_parquet(folder / "hive" / f"key={name}" / "p.parquet")
    section = {**SECTION, "options": {"timestamp_column": "time", "where": "key is not null"}}
    assert make(**section, input=str(folder / "hive")).manifest.settings["rows"]["where"] == 30


@pytest.mark.parametrize("shape", ["file", "folder", "glob"])
def test_urls(folder: Path, make: Make, expected: str, shape: str) -> None:
    parts_of(log(), folder / "there" / "log", ".csv", [40, 50])
    log().write_csv(folder / "there" / "log.csv")
    items = pl.DataFrame({"item": range(8), "v": [[float(k)] for k in range(8)]})
    items.write_parquet(folder / "there" / "items.parquet")
    url = f"file://{folder}/there"
    source: Any = {"file": f"{url}/log.csv", "folder": f"{url}/log", "glob": {"glob": f"{url}/log/**/*.csv"}}[shape]
    beside = "items.parquet" if shape == "file" else "../items.parquet"
    lines: list[str] = []
    left = folder.parent / ".store.fetched-abc"
    left.mkdir()
    store = make(lines, **SECTION, input=source, modalities={"v": beside, "w": f"{url}/items.parquet"})
    assert make(**SECTION, input=source).manifest.fingerprint == expected
    assert store.manifest.modalities.keys() == {"v", "w"}
    assert any(line.startswith(f"fetching {url}") for line in lines)
    assert any(line.startswith(f"{left}, left by a prepare that was killed") for line in lines) and left.is_dir()
    left.rmdir()
    assert not [path for path in folder.parent.iterdir() if "fetched" in path.name]
    assert not [name for name in store.manifest.sources if "fetched" in name]
    with pytest.raises(UserError, match=rf"{url}/.*itms.parquet does not exist"):
        make(**SECTION, input=source, modalities={"v": beside.replace("items", "itms")})
    assert not [path for path in folder.parent.iterdir() if "fetched" in path.name]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("file://RAW/none", "there is nothing at file://RAW/none"),
        ({"glob": "file://RAW/none/*.csv"}, "no file fits the pattern 'file://RAW/none/\\*.csv'"),
        ({"glob": "RAW/*.cvs"}, "no file fits the pattern"),
        ("RAW/empty", "empty holds no file that could be a part of a table"),
        ("RAW/mixed", r"mixed holds files of several kinds \(.*a.csv.*\); name those of the log as prepare.input="),
        ("RAW/headers", r"headers/b.csv has no column 'item'; did you mean 'itm'"),
        ("RAW/uneven", r"uneven/y/p.csv: its folders name nothing, those of the first part k"),
        ("RAW/*.csv", r"RAW/\*.csv does not exist"),
        ("RAW/docs", r"unknown ending, known are"),
        ("RAW/broken", r"broken/b.csv, line 3: there are 1 values"),
    ],
)
def test_what_no_parts_are(folder: Path, make: Make, source: Any, words: str) -> None:
    files = {
        "mixed/a.csv": "user,item\n1,2\n",
        "mixed/b.jsonl": "{}",
        "headers/a.csv": "user,item\n1,2\n",
        "headers/b.csv": "user,itm\n1,2\n",
        "uneven/k=1/p.csv": "user,item\n1,2\n",
        "uneven/y/p.csv": "user,item\n1,2\n",
        "docs/a.md": "x",
        "broken/a.csv": "user,item\n1,2\n",
        "broken/b.csv": "user,item\n1,2\n3\n",
        "empty/_SUCCESS": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)
    source = (
        {key: text.replace("RAW", str(folder)) for key, text in source.items()} if isinstance(source, dict) else source
    )
    source = source.replace("RAW", str(folder)) if isinstance(source, str) else source
    with pytest.raises(UserError, match=words.replace("RAW", str(folder))):
        make(format="table", split="random", input=source)
    assert not (folder.parent / "store").exists()


def test_a_pattern_is_for_tables_alone() -> None:
    section = {"format": "table", "input": {"glob": "a/*.csv"}}
    assert from_mapping(PrepareConfig, section).input == Glob("a/*.csv")
    with pytest.raises(UserError, match=r"glob.* is for the format 'table'; name the file or folder of 'recbole'"):
        from_mapping(PrepareConfig, {**section, "format": "recbole"})


IDS = st.integers(0, 6)
ROWS = st.lists(st.tuples(IDS, IDS, st.one_of(st.none(), st.integers(0, 10**6))), min_size=30, max_size=80)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS, st.sampled_from(sorted(WRITERS)), st.integers(1, 5), st.booleans(), st.randoms())
def test_made_tables(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, int, int | None]],
    ending: str,
    num_parts: int,
    as_text: bool,
    random: Any,
) -> None:
    folder = tmp_path_factory.mktemp("made")
    frame = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    if as_text:
        frame = frame.with_columns(pl.format("u{}", "user").alias("user"), pl.format('i"{}', "item").alias("item"))
    options = {"timestamp_column": "time", "nulls": "drop", "id_type": "text" if as_text else "integer"}
    columns = ["user", "item", "time", "extra"]
    random.shuffle(columns)
    shaped = frame.with_columns(extra=pl.lit("a,b\tc")).select(columns)
    cuts = sorted(random.randint(0, len(rows)) for _ in range(num_parts - 1))
    # A text part without rows still has a header, whose columns then have no type: the same for all.
    sizes = [end - start for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True) if end > start]
    parts_of(shaped, folder / "parts", ending, sizes)
    frame.write_parquet(folder / "plain.parquet")
    results = []
    for name in ("plain.parquet", "parts"):
        section = {**SECTION, "input": str(folder / name), "options": options}
        try:
            store = Store.open(prepare(from_mapping(PrepareConfig, section), folder / f"s-{name}", lambda line: None))
            results.append((store.manifest.fingerprint, store.manifest.settings["rows"]))
        except UserError as error:
            results.append(str(error).split(";")[0])
    assert results[0] == results[1]
