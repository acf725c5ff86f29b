"""`.npy` files of Python objects, read without running what they say.

A pickle is a program that calls whatever it names. Here nothing that a file names is looked up: the few names that
NumPy and the plain containers need stand for functions of this module, which check their arguments, and any other name
ends the reading. Element types and arrays are checked as well, for NumPy trusts what it unpickles: an array that says
"objects" and brings bytes would be read as addresses. What comes out are ints, floats, texts, lists, tuples, sets,
dicts (of every kind as plain dicts) and arrays of numbers or of these.

A hostile file can still exhaust the memory or end the process, as by nesting without end; it cannot run anything.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.reading import existing, npy_array

_READ_HEADER = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def load_npy(path: Path) -> np.ndarray:
    """The array of a `.npy` file: mapped where it holds numbers, in memory where it holds plain Python objects.

    Raises:
        UserError: the file is missing or damaged, or holds something else; says what it asked for.
    """
    with existing(path).open("rb") as file:
        try:
            version = npy.read_magic(file)
            if version not in _READ_HEADER:
                raise ValueError(f"version {version}")
            shape, _, dtype = _READ_HEADER[version](file)
        except Exception as error:  # any that the header's author could provoke
            raise UserError(f"{path} is not a .npy file ({_words(error)})") from error
        if dtype != np.dtype(object):
            return npy_array(path)
        array = _load(file, path)
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(object) or array.shape != shape:
        raise UserError(f"{path} holds something else than its header says, objects of shape {list(shape)}")
    return array.view(np.ndarray)


def _load(file: BinaryIO, path: Path) -> Any:
    try:
        return _Unpickler(file).load()
    except Exception as error:  # any that the file's author could provoke, MemoryError and RecursionError too
        raise UserError(
            f"{path} cannot be read: {_words(error)}. Nothing but numbers, texts, lists, sets, dicts and NumPy arrays "
            "is read from a pickle, since it could hide a program; save the file anew with these alone"
        ) from error


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


@dataclass(frozen=True)
class _Maker:
    """What a name in a pickle stands for."""

    make: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        return self.make(*arguments)

    def __setstate__(self, state: Any) -> None:  # without it a pickle could set attributes of this object
        raise _refusal("state for a function")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Maker:
        if (module, name) not in _MAKERS:
            raise _refusal(repr(f"{module}.{name}"))
        return _MAKERS[module, name]


def _refusal(what: str) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(f"it asks for {what}")


class _Dtype:
    """An element type: one of numbers or truth values, or objects."""

    def __init__(self, name: str, align: bool = False, copy: bool = True) -> None:
        if not isinstance(name, str) or not re.fullmatch(r"O[48]?|b1|[iu][1248]|f[248]", name):
            raise _refusal(f"the element type {name!r}")
        self.value = np.dtype("O" if name.startswith("O") else name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order, *parts = state[1:5]  # what follows, sizes and flags, is known from the name
        if order not in ("<", ">", "=", "|") or parts != [None, None, None]:
            raise _refusal("an element type of several parts")
        self.value = self.value.newbyteorder(order)


class _Array(np.ndarray):
    """An array whose state is checked before NumPy gets it."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, data = state
        if type(shape) is not tuple or not all(type(size) is int and size >= 0 for size in shape):
            raise _refusal("an array without a shape")
        if type(dtype) is not _Dtype:
            raise _refusal("an array without an element type")
        is_objects = dtype.value.hasobject
        size = math.prod(shape) * (1 if is_objects else dtype.value.itemsize)
        if type(data) is not (list if is_objects else bytes) or len(data) != size:
            raise _refusal(f"an array of shape {list(shape)} with other data than {dtype.value} of that shape")
        super().__setstate__((1, shape, dtype.value, bool(is_fortran), data))  # type: ignore[arg-type]


def _empty_array(kind: Any, shape: Any, code: Any) -> _Array:
    if kind is not _NDARRAY:
        raise _refusal("an array of another class")
    return _Array.__new__(_Array, (0,), np.int8)  # its state follows


def _array_of_bytes(data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> _Array:
    if not isinstance(data, (bytes, bytearray)) or order not in ("C", "F") or axes is not None:
        raise _refusal("an array in an unknown order")
    array = _empty_array(_NDARRAY, None, None)
    array.__setstate__((1, shape, dtype, order == "F", bytes(data)))
    return array


def _scalar(dtype: Any, data: Any) -> int | float | bool:
    if type(dtype) is not _Dtype or dtype.value.hasobject:
        raise _refusal("an object as a number")
    if type(data) is not bytes or len(data) != dtype.value.itemsize:
        raise _refusal(f"a number with other data than {dtype.value}")
    return np.frombuffer(data, dtype.value)[0].item()


def _encode(text: Any, encoding: Any) -> bytes:
    """How protocol 2 writes bytes."""
    if type(text) is not str or encoding != "latin1":
        raise _refusal("another encoding than latin1")
    return text.encode("latin1")


def _dict_of_sets_or_lists(factory: Any = None) -> dict[Any, Any]:
    if factory is not None and factory not in (_SET, _LIST):
        raise _refusal("a defaultdict of other things than sets and lists")
    return {}  # its items follow; nobody asks for one that is not there


def _container(kind: type) -> _Maker:
    def make(items: Any = ()) -> Any:
        if type(items) not in (list, tuple):
            raise _refusal(f"a {kind.__name__} of something else than a list")
        return kind(items)

    return _Maker(make)


_NDARRAY = _Maker(lambda *arguments: _empty_array(None, None, None))  # named as a class, never called
_SET, _LIST, _DICT = _container(set), _container(list), _Maker(lambda: {})
_MAKERS: dict[tuple[str, str], _Maker] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Maker(_Dtype),
    ("_codecs", "encode"): _Maker(_encode),
    ("collections", "OrderedDict"): _DICT,
    ("collections", "defaultdict"): _Maker(_dict_of_sets_or_lists),
    **{
        (f"numpy.{core}.{module}", name): maker  # NumPy 1 and 2
        for core in ("core", "_core")
        for module, name, maker in (
            ("multiarray", "_reconstruct", _Maker(_empty_array)),
            ("multiarray", "scalar", _Maker(_scalar)),
            ("numeric", "_frombuffer", _Maker(_array_of_bytes)),
        )
    },
    **{
        (module, name): maker  # protocols below 3 use Python 2's name
        for module in ("builtins", "__builtin__")
        for name, maker in (
            ("set", _SET),
            ("list", _LIST),
            ("dict", _DICT),
            ("frozenset", _container(frozenset)),
            ("tuple", _container(tuple)),
            ("bytes", _Maker(lambda: b"")),  # how protocol 2 writes empty ones
        )
    },
}
