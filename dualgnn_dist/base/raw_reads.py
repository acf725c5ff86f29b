"""Reads of memory-mapped numbers by address, inside kernels: what LLVM can do and Numba has no word for."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _loader(stored: Any, result: Any) -> Any:
    """An intrinsic `load(address, index)` for one element type: a plain read from a mapped buffer.

    Args:
        stored: LLVM's type of an element in memory.
        result: Numba's type of what is returned, as wide as `stored` or a float32 made of it.
    """

    @intrinsic
    def load(typing_context: Any, address: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            value = builder.load(_element(builder, stored, arguments))
            return value if stored == context.get_value_type(result) else builder.fpext(value, ir.FloatType())

        return result(types.int64, types.int64), generate

    return load


def _element(builder: Any, stored: Any, arguments: Any) -> Any:
    base, index = arguments
    return cgutils.gep_inbounds(builder, builder.inttoptr(base, stored.as_pointer()), index)


# `load(address, index)`: element `index`, int64, of the array that begins at the int64 `address`. Nothing is checked.
load_int32 = _loader(ir.IntType(32), types.int32)
load_int64 = _loader(ir.IntType(64), types.int64)
load_float16 = _loader(ir.HalfType(), types.float32)  # widened
load_float32 = _loader(ir.FloatType(), types.float32)


@intrinsic
def prefetch_int32(typing_context: Any, address: Any, index: Any) -> Any:
    """`prefetch_int32(address, index)`: asks for the cache line of what `load_int32` will read, without waiting."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element = builder.bitcast(_element(builder, ir.IntType(32), arguments), cgutils.voidptr_t)
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word])
        read, into_all_caches, data = word(0), word(3), word(1)
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [element, read, into_all_caches, data])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate
