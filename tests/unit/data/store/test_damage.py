"""Whatever happens to a store's files is said, or changes nothing that is read from it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.schema import MANIFEST, ModalityInfo, ShardInfo, fingerprint
from tests.unit.data.store.small_store import write

Values = dict[str, Any]


def content(folder: Path) -> str:
    """A digest of all that can be read from a store, most of it through kernels that read by raw addresses."""
    store, digest = Store.open(folder), hashlib.blake2b()
    users, items = (np.arange(size, dtype=np.int32) for size in (store.manifest.num_users, store.manifest.num_items))
    for split in ("train", "valid", "test"):
        table = store.interactions(split)
        columns = [table.users, table.items, *([table.timestamps] if table.timestamps is not None else [])]
        digest.update(repr([column.take(np.arange(len(table))).tolist() for column in columns]).encode())
    digest.update(repr([array.tolist() for array in store.held_out("test", users)]).encode())
    for graph, rows in ((store.user_item, users), (store.item_user, items), (store.user_cooccurrence, users)):
        digest.update(repr([array.tolist() for array in graph.gather(rows)]).encode())
        digest.update(repr([graph.row_counts(int(row)).tolist() for row in rows] if graph.counts else None).encode())
    for name in store.manifest.modalities:
        digest.update(repr(store.features(name).gather(items)).encode())
    for kind in ("users", "items"):
        digest.update(repr(store.ids(kind).to_pylist()).encode())  # type: ignore[arg-type]
    store.wait_until_checked()
    return digest.hexdigest()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("whole") / "store").path


@pytest.fixture(scope="module")
def right(whole: Path) -> str:
    return content(whole)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "store"))


def is_told_or_harmless(folder: Path, right: str) -> bool:
    try:
        return content(folder) == right
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        return True


def _flip(file: Path, bit: int) -> None:
    data = bytearray(file.read_bytes())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    file.write_bytes(data)


def _other(file: Path) -> Path:
    same_table = sorted(file.parent.glob(file.name.rpartition("-")[0] + "-*"))
    return same_table[same_table.index(file) - 1]


def _swap(file: Path) -> None:
    other, data = _other(file), file.read_bytes()
    file.write_bytes(other.read_bytes())
    other.write_bytes(data)


def _as_link(file: Path) -> None:
    outside = file.parents[2] / "outside.arrow"
    file.rename(outside)
    file.symlink_to(outside)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda file: os.truncate(file, file.stat().st_size - 8),
    "empty": lambda file: os.truncate(file, 0),
    "longer": lambda file: os.truncate(file, file.stat().st_size + 8),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "zeros at the end": lambda file: file.write_bytes(file.read_bytes()[:-16] + bytes(16)),
    "zeros in the middle": lambda file: file.write_bytes((data := file.read_bytes())[:-400] + bytes(100) + data[-300:]),
    "gone": lambda file: file.unlink(),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "swapped": _swap,
    "elsewhere": _as_link,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files(damage: str, folder: Path, whole: Path, right: str) -> None:
    for shard in Store.open(whole).manifest.shards:
        file = folder / shard.file
        DAMAGES[damage](file)
        if damage == "swapped" and file.read_bytes() == (whole / shard.file).read_bytes():
            continue  # a table of one shard
        with pytest.raises(UserError, match=r"-0000\d\.arrow"):
            content(folder)
        shutil.rmtree(folder)
        shutil.copytree(whole, folder)
    assert content(folder) == right


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 10**6), bit=st.integers(0, 10**6))
def test_a_flipped_bit(which: int, bit: int, folder: Path, whole: Path) -> None:
    """Of a shard: no bit of it is without a checksum."""
    shards = Store.open(whole).manifest.shards
    shard = shards[which % len(shards)]
    _flip(folder / shard.file, bit)
    with pytest.raises(UserError, match="damaged"):
        content(folder)
    shutil.copy(whole / shard.file, folder / shard.file)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bit=st.integers(0, 10**6))
def test_a_flipped_bit_of_the_manifest(bit: int, folder: Path, whole: Path, right: str) -> None:
    _flip(folder / MANIFEST, bit)
    assert is_told_or_harmless(folder, right)
    shutil.copy(whole / MANIFEST, folder / MANIFEST)


def _leaves(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(values, dict | list):
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from _leaves(value, (*path, key))
    else:
        yield path


def _set(values: Any, path: tuple[Any, ...], value: Any) -> Any:
    for key in path[:-1]:
        values = values[key]
    old, values[path[-1]] = values[path[-1]], value
    return old


def _instead_of(value: Any) -> list[Any]:
    """Numbers next to this one and far from it; other texts; other types."""
    if isinstance(value, int):
        return [value + 1, value - 1, 2 * value, 0, -1, 2**31, 2**63, 2**70, float(value), str(value), None, [value]]
    return ["", f"{value}x", "../../x", "/etc/passwd", "a\0b", "float32", "dense", "tokens", 7, None, {}]


def _signed(values: Values) -> Values:
    """With a fingerprint that fits, as somebody may write it who knows how."""
    try:
        shards = tuple(ShardInfo(**shard) for shard in values["shards"])
        modalities = {name: ModalityInfo(**info) for name, info in values["modalities"].items()}
        return {**values, "fingerprint": fingerprint(shards, modalities)}
    except (TypeError, AttributeError):
        return values


def _edits(values: Values) -> Iterator[tuple[Any, ...]]:
    """Changes every value of `values` in turn, of the shards' those of a few, and says which and to what."""
    for path in list(_leaves(values)):
        if path[0] == "shards" and path[1] % 20:
            continue
        old = _set(values, path, None)
        for changed in _instead_of(old):
            if type(changed) is type(old) and changed == old:
                continue
            _set(values, path, changed)
            yield (*path, changed)
        _set(values, path, old)


def test_edited_manifests(folder: Path) -> None:
    values = json.loads((folder / MANIFEST).read_text())
    for edit in _edits(values):
        (folder / MANIFEST).write_text(json.dumps(values))
        with pytest.raises(UserError, match=r"manifest|format version|lies outside|must be|is not one of"):
            Store.open(folder)
            raise AssertionError(edit)


@pytest.mark.parametrize("sign", [lambda values: values, _signed], ids=["as it was", "another fingerprint"])
def test_edited_manifests_without_a_checksum(sign: Callable[[Values], Values], folder: Path, right: str) -> None:
    """As older programs wrote them: what a number says is compared with the files."""
    values = json.loads((folder / MANIFEST).read_text())
    values["settings"] = {}
    (folder / MANIFEST).write_text(json.dumps(values))
    assert content(folder) == right
    for edit in _edits(values):
        (folder / MANIFEST).write_text(json.dumps(sign(values)))
        assert is_told_or_harmless(folder, right), edit


@pytest.mark.parametrize(
    "edit",
    [
        ("rows_per_shard", 1),
        ("rows_per_shard", 2**40),
        ("num_users", 4),
        ("num_items", 6),
        ("modalities", "visual", "dimension", 4000),
        ("modalities", "visual", "dtype", "float32"),
        ("shards", 0, "rows", 300),
    ],
)
def test_numbers_that_decide_addresses_are_refused_when_the_store_is_opened(
    edit: tuple[Any, ...], folder: Path
) -> None:
    values = json.loads((folder / MANIFEST).read_text())
    values["settings"] = {}
    _set(values, edit[:-1], edit[-1])
    (folder / MANIFEST).write_text(json.dumps(_signed(values)))
    with pytest.raises(UserError, match="is damaged"):
        Store.open(folder)


def test_shards_of_another_store(tmp_path: Path, folder: Path) -> None:
    """With the same sizes, rows and types, and whole in themselves."""
    other = write(tmp_path / "other")
    for name in ("ids/users-00000.arrow", "features/visual-00000.arrow"):
        file = other.path / name
        data = bytearray(file.read_bytes())
        place = data.find(b"abc") if "ids" in name else data.find(np.array([0, 1], dtype=np.float16).tobytes())
        data[place] ^= 2
        (folder / name).write_bytes(data)
        with pytest.raises(UserError, match=rf"{name} is damaged \(its checksum differs"):
            content(folder)
        shutil.copy(file, folder / name)


def test_deep_manifests(folder: Path) -> None:
    for text in (
        "[" * 100_000,
        '{"settings":' * 5_000,
        '{"format_version": 1, "settings": ' + "[" * 900 + "]" * 900 + "}",
    ):
        (folder / MANIFEST).write_text(text)
        with pytest.raises(UserError, match="manifest"):
            Store.open(folder)
