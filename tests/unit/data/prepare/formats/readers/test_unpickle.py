"""Pickled `.npy` files: what NumPy writes is read, whatever else a file asks for is refused and never run."""

from __future__ import annotations

import _codecs
import collections
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy._core.multiarray import _reconstruct, scalar
from numpy._core.numeric import _frombuffer

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.tensor import read_matrix
from dualgnn_dist.data.prepare.formats.readers.unpickle import load_npy


def npy(path: Path, pickled: bytes, shape: tuple[int, ...] = ()) -> Path:
    """A `.npy` file whose header promises objects, with any bytes behind it."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": shape})
        file.write(pickled)
    return path


def objects(*values: Any) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


class Call:
    """Pickles as a call of `function`, and perhaps as a state set on what comes back."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


def asks_for(module: str, name: str, *arguments: str) -> bytes:
    """A protocol 4 pickle that looks a name up, dots and all, and calls what it finds."""
    texts = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in arguments)
    names = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
    return b"\x80\x04" + names + b"\x93(" + texts + b"tR."


LISTS = objects([1, 2, 3], [4], [], [np.int64(5), np.int32(6)], np.arange(3), (1.5, None, True, "text", b"bytes"))
DICT = np.array(collections.defaultdict(set, {0: {1, 2}, np.int64(3): {np.int64(4)}, 5: frozenset([6])}))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("numpy_name", [b"numpy._core", b"numpy.core"])
def test_what_numpy_pickles_is_read(tmp_path: Path, protocol: int, numpy_name: bytes) -> None:
    def again(value: np.ndarray) -> np.ndarray:
        pickled = pickle.dumps(value, protocol)
        if protocol < 4:  # from then on names have their lengths before them
            pickled = pickled.replace(b"numpy._core", numpy_name)
        return load_npy(npy(tmp_path / "x.npy", pickled, value.shape))

    lists = again(LISTS)
    assert type(lists) is np.ndarray and lists.shape == (6,)
    assert lists[:4].tolist() == [[1, 2, 3], [4], [], [5, 6]] and lists[4].tolist() == [0, 1, 2]
    assert lists[5] == (1.5, None, True, "text", b"bytes")
    assert again(DICT).item() == {0: {1, 2}, 3: {4}, 5: {6}}
    assert again(objects([1, 2], [3, 4]).reshape(2, 1)).shape == (2, 1)
    ordered = collections.OrderedDict({1: collections.defaultdict(list, {2: [np.float32(0.5), np.bool_(True)]})})
    assert again(np.array(ordered)).item() == {1: {2: [0.5, True]}}
    for numbers in (
        np.arange(6, dtype=">i4"),
        np.arange(6, dtype=np.float16).reshape(2, 3).T,
        np.zeros(0, dtype=np.uint8),
        np.array([True, False]),
    ):
        inner = again(objects(numbers, None))[0]
        np.testing.assert_array_equal(inner, numbers)


def test_what_np_save_writes_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "lists.npy", LISTS, allow_pickle=True)
    np.save(tmp_path / "dict.npy", {1: [[2, 3], [1.0, 1.0]]}, allow_pickle=True)
    np.save(tmp_path / "numbers.npy", np.arange(6).reshape(3, 2))
    assert load_npy(tmp_path / "lists.npy")[0] == [1, 2, 3]
    assert load_npy(tmp_path / "dict.npy").item() == {1: [[2, 3], [1.0, 1.0]]}
    numbers = load_npy(tmp_path / "numbers.npy")
    assert isinstance(numbers, np.memmap) and numbers.tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, exec, Path.touch, getattr, __import__, np.load, open])
def test_no_program_runs(tmp_path: Path, protocol: int, function: Callable[..., Any]) -> None:
    touched = tmp_path / "touched"
    arguments: dict[Any, tuple[Any, ...]] = {
        os.system: (f"touch {touched}",),
        eval: (f"open({str(touched)!r}, 'w')",),
        exec: (f"open({str(touched)!r}, 'w')",),
        open: (str(touched), "w"),
        Path.touch: (touched,),
        getattr: ("", "join"),
        __import__: ("os",),
        np.load: (str(tmp_path / "other.npy"),),
    }
    attack = pickle.dumps(objects([1], Call(function, *arguments[function])), protocol)
    if function in (os.system, eval, exec, open, Path.touch):  # the attack is one
        np.lib.format.read_array(io.BytesIO(npy(tmp_path / "x.npy", attack, (2,)).read_bytes()), allow_pickle=True)
        assert touched.exists()
        touched.unlink()
    with pytest.raises(UserError, match=r"x\.npy cannot be read: it asks for '.+'\. Nothing but numbers, .* save the"):
        load_npy(npy(tmp_path / "x.npy", attack, (2,)))
    assert not touched.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("posix", "system"),
        ("os", "system"),
        ("nt", "system"),
        ("numpy", "load"),
        ("numpy", "core.multiarray._reconstruct"),
        ("numpy", "ndarray.tofile"),
        ("numpy", "_core._internal.sys.modules.__getitem__"),
        ("numpy._core.multiarray", "_reconstruct.__call__"),
        ("builtins", "set.__class__"),
        ("builtins", "object"),
        ("collections", "defaultdict.fromkeys"),
        ("_codecs", "decode"),
        ("copyreg", "_reconstructor"),
        ("copyreg", "__newobj__"),
        ("functools", "partial"),
        ("", ""),
    ],
)
def test_no_other_name_is_looked_up(tmp_path: Path, module: str, name: str) -> None:
    touched = tmp_path / "touched"
    path = npy(tmp_path / "x.npy", asks_for(module, name, f"touch {touched}"))
    with pytest.raises(UserError, match=r"it asks for '" + f"{module}.{name}'"):
        load_npy(path)
    assert not touched.exists()


def array_with(state: Any) -> Call:
    return Call(_reconstruct, np.ndarray, (0,), b"b", state=state)


def dtype_with(name: str, state: Any) -> Call:
    return Call(np.dtype, name, False, True, state=state)


OBJECT, INT = np.dtype(object), np.dtype(np.int64)


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (array_with((1, (1,), OBJECT, False, b"\1" * 8)), r"an array of shape \[1\] with other data than object"),
        (array_with((1, (2,), OBJECT, False, [1])), r"an array of shape \[2\] with other data than object"),
        (array_with((1, (2,), INT, False, b"\1" * 8)), r"an array of shape \[2\] with other data than int64"),
        (array_with((1, (1 << 62, 4), INT, False, b"")), "with other data than int64"),
        (array_with((1, (-1, -1), INT, False, b"\1" * 8)), "an array without a shape"),
        (array_with((1, [1], INT, False, b"\1" * 8)), "an array without a shape"),
        (array_with((1, (1,), "O", False, b"\1" * 8)), "an array without an element type"),
        (array_with((1, (1,), dtype_with("O8", (3, "|", None, None, None, 8, 8, 0)), False, b"\1" * 8)), "other data"),
        (array_with(7), "cannot unpack"),
        (dtype_with("i8", (3, "<", None, ("a",), {"a": (OBJECT, 0)}, 8, 1, 0)), "an element type of several parts"),
        (dtype_with("i8", (3, "<", (OBJECT, (1,)), None, None, 8, 1, 0)), "an element type of several parts"),
        (dtype_with("i8", (3, "O", None, None, None, 8, 1, 63)), "an element type of several parts"),
        (Call(np.dtype, "V99999999999"), "the element type 'V99999999999'"),
        (Call(np.dtype, "O,O"), "the element type 'O,O'"),
        (Call(np.dtype, [("a", "O")]), "the element type"),
        (Call(_reconstruct, dict, (0,), b"b"), "an array of another class"),
        (Call(scalar, OBJECT, [1]), "an object as a number"),
        (Call(scalar, INT, b"\1"), "a number with other data than int64"),
        (Call(_frombuffer, b"\1" * 8, OBJECT, (1,), "C"), "with other data than object"),
        (Call(_frombuffer, b"\1" * 8, INT, (2,), "C"), "with other data than int64"),
        (Call(_frombuffer, b"\1" * 8, INT, (1,), "K", (0,)), "an array in an unknown order"),
        (Call(collections.defaultdict, np.dtype), "a defaultdict of other things"),
        (Call(_codecs.encode, "text", "rot13"), "another encoding than latin1"),
        (Call(set, 7), "a set of something else than a list"),
        (Call(bytes, 1 << 40), "argument"),
        (Call(np.ndarray, (1,), "O", None), "an array of another class"),
    ],
)
def test_absurd_arguments_are_refused(tmp_path: Path, attack: Call, message: str) -> None:
    pickled = pickle.dumps([attack], 4)
    with pytest.raises(UserError, match=rf"x\.npy cannot be read: .*{message}"):
        load_npy(npy(tmp_path / "x.npy", pickled))


def test_the_functions_that_stand_for_names_cannot_be_changed(tmp_path: Path) -> None:
    for state in (b"}\x8c\x04makeK\x01s", b"N}\x8c\x04makeK\x01s\x86"):  # {'make': 1}, as items and as slots
        pickled = b"\x80\x04\x8c\x08builtins\x8c\x03set\x93" + state + b"b."
        with pytest.raises(UserError, match="it asks for state for a function"):
            load_npy(npy(tmp_path / "x.npy", pickled))
    assert load_npy(npy(tmp_path / "x.npy", pickle.dumps(np.array({1}), 2))).item() == {1}


def test_damaged_files_are_named(tmp_path: Path) -> None:
    whole = pickle.dumps(LISTS, 4)
    for size in range(len(whole)):
        with pytest.raises(UserError, match=r"x\.npy cannot be read: "):
            load_npy(npy(tmp_path / "x.npy", whole[:size], LISTS.shape))
    with pytest.raises(UserError, match=r"x\.npy holds something else than its header says, objects of shape \[7\]"):
        load_npy(npy(tmp_path / "x.npy", whole, (7,)))
    with pytest.raises(UserError, match=r"x\.npy holds something else than its header says"):
        load_npy(npy(tmp_path / "x.npy", pickle.dumps([1, 2])))
    for content in (b"", b"not an array", b"\x93NUMPY\x09\x00", b"\x93NUMPY\x01\x00\x04\x00((((", whole):
        (tmp_path / "x.npy").write_bytes(content)
        with pytest.raises(UserError, match=r"x\.npy is not a \.npy file"):
            load_npy(tmp_path / "x.npy")
    with pytest.raises(UserError, match=r"y\.npy does not exist; did you mean 'x\.npy'"):
        load_npy(tmp_path / "y.npy")
    too_large = b"\x80\x05\x96" + (1 << 50).to_bytes(8, "little") + b"abc."
    with pytest.raises(UserError, match=r"x\.npy cannot be read: MemoryError"):
        load_npy(npy(tmp_path / "x.npy", too_large))


@pytest.mark.parametrize("new_format", [True, False])
def test_tensors_are_read_and_programs_in_their_files_are_not_run(tmp_path: Path, new_format: bool) -> None:
    path, touched = tmp_path / "x.pt", tmp_path / "touched"

    def save(value: Any) -> None:
        torch.save(value, path, _use_new_zipfile_serialization=new_format)

    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.int64):
        save(torch.tensor([[1, 2], [3, 4]], dtype=dtype))
        assert read_matrix(path).tolist() == [[1, 2], [3, 4]]
    save(torch.nn.Parameter(torch.ones(2, 2)))
    assert read_matrix(path).tolist() == [[1, 1], [1, 1]]
    attack = Call(os.system, f"touch {touched}")
    save(attack)
    torch.load(path, weights_only=False)
    assert touched.exists()  # the attack is one
    touched.unlink()
    for value in (attack, [torch.ones(1), attack]):
        save(value)
        with pytest.raises(UserError, match=r"x\.pt asks for '\w+\.system'\. It was not loaded") as error:
            read_matrix(path)
        assert "weights_only" not in str(error.value), "torch's words recommend to run it"
    assert not touched.exists()
    save({"a": torch.ones(1)})
    with pytest.raises(UserError, match=r"x\.pt must hold one dense tensor, not a dict"):
        read_matrix(path)
    save(torch.eye(2).to_sparse())
    with pytest.raises(UserError, match=r"x\.pt must hold one dense tensor, not a torch\.sparse_coo one"):
        read_matrix(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match=r"x\.pt is no file of torch\.save, or a damaged one"):
        read_matrix(path)
