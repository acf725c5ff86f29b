"""`movielens` from its zip: the same store as from the folder, and archives that are refused."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.stores import every

Make = Callable[..., Store]
LENS: dict[str, Any] = {"format": "movielens", "split": "leave_one_out", "modalities": {"genre": "genres"}}
ROWS = [(user, item, 4, 10 * user + item) for user in (1, 2) for item in (7, 8, 9)]
GROUPLENS = {
    "ratings.csv": (
        ",",
        "movies.csv",
        'movieId,title,genres\n7,"Café, a",Drama|War\n8,b,(no genres listed)\n5,c,Noir\n',
    ),
    "ratings.dat": ("::", "movies.dat", "7::Café::Drama|War\n8::b::(no genres listed)\n5::c::Noir\n"),
    "u.data": (
        "\t",
        "u.item",
        "".join(
            "|".join([item, title, "", "", "", *("1" if k in of else "0" for k in range(19))]) + "\n"
            for item, title, of in (("7", "Café", (8, 17)), ("8", "b", ()), ("5", "c", (10,)))
        ),
    ),
}


def files(name: str) -> dict[str, bytes]:
    separator, films, text = GROUPLENS[name]
    lines = [separator.join(map(str, row)) for row in ROWS]
    header = ["userId,movieId,rating,timestamp"] if name.endswith("csv") else []
    encoding = "utf-8" if name.endswith("csv") else "latin-1"
    return {name: ("\n".join([*header, *lines]) + "\n").encode(), films: text.encode(encoding)}


def zipped(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize("name", GROUPLENS)
def test_the_zip_gives_the_store_of_its_files(folder: Path, make: Make, name: str, tiny_blocks: None) -> None:
    for file, text in files(name).items():
        (folder / file).write_bytes(text)
    store = make(**LENS)
    genres = every(store, "genre")
    assert genres.present.tolist() == [True, False, False]
    assert genres.tokens.tolist() == [0, 2]  # Drama and War, after Noir or Film-Noir in the alphabet
    assert len(store.manifest.sources) == 2
    archive = zipped(folder / "ml.zip", {"ml/": b"", **{f"ml/{file}": text for file, text in files(name).items()}})
    from_zip = make(**LENS, input=str(archive))
    assert from_zip.manifest.fingerprint == store.manifest.fingerprint
    assert set(from_zip.manifest.sources) == {"ml.zip"}


def test_what_is_wrong_in_a_zip_is_said(folder: Path, make: Make) -> None:
    ratings = files("ratings.dat")["ratings.dat"]
    for members, message in (
        ({"a/x.dat": ratings}, r"ml\.zip holds none of ratings\.csv, ratings\.dat, u\.data"),
        ({"a/ratings.dat": ratings, "b/u.data": ratings}, r"ml\.zip holds a/ratings\.dat and b/u\.data; unpack it"),
        ({"ratings.dat": ratings, "../x": b""}, r"ml\.zip holds '\.\./x', a path that leads out of it"),
        ({"a/ratings.dat": ratings[:-4] + b"x\n"}, r"ml\.zip/a/ratings\.dat, line 6: there are 3 values"),
    ):
        path = zipped(folder / "ml.zip", members)
        with pytest.raises(UserError, match=message):
            make(format="movielens", split="leave_one_out", input=str(path))
    path.write_bytes(b"PK no zip")
    with pytest.raises(UserError, match=r"ml\.zip is no zip archive, or a damaged one"):
        make(**LENS, input=str(path))


def test_damage_and_passwords_are_refused(folder: Path, make: Make) -> None:
    path = folder / "ml.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("ratings.dat", files("ratings.dat")["ratings.dat"])
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"2::9::4::29", b"2::9::5::29"))
    with pytest.raises(UserError, match=r"ml\.zip/ratings\.dat cannot be read: Bad CRC-32"):
        make(format="movielens", split="leave_one_out", input=str(path))
    locked = bytearray(whole)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(mark) + place] |= 1
    path.write_bytes(bytes(locked))
    with pytest.raises(UserError, match=r"ratings\.dat cannot be read: it is encrypted; unpack the archive first"):
        make(format="movielens", split="leave_one_out", input=str(path))


def test_films_that_are_not_there_and_titles(folder: Path, make: Make) -> None:
    (folder / "ratings.dat").write_bytes(files("ratings.dat")["ratings.dat"])
    with pytest.raises(UserError, match=r"raw holds none of movies\.csv, movies\.dat, u\.item, which have the genres"):
        make(**LENS)
    with pytest.raises(UserError, match=r"modality 'text': titles are text, .*docs/raw-content\.md"):
        make(**{**LENS, "modalities": {"text": "title"}})
