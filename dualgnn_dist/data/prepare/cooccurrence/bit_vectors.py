"""Kernel side: 512 bits at a time, as LLVM's vector of eight 64-bit words.

LLVM's vectorizer gives up on loops over many rows of bits, because it cannot see that they do not overlap. Written out
with this type they become the widest instructions that the processor has: one of AVX-512, two of AVX2, four of NEON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from dualgnn_dist.base.kernels import kernel_inline

WORDS = 8  # of 64 bits, in a vector
BITS = 64 * WORDS

_IR_TYPE = ir.VectorType(ir.IntType(64), WORDS)


class _BitVector(types.Type):
    def __init__(self) -> None:
        super().__init__(name="BitVector")


@register_model(_BitVector)
class _BitVectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, front_end_type: Any) -> None:
        super().__init__(manager, front_end_type, _IR_TYPE)


_VECTOR = _BitVector()


def aligned_rows(num_rows: int, num_words: int) -> np.ndarray:
    """uint64 [num_rows, num_words] of zeros that begins at a cache line; `num_words` must be a multiple of WORDS."""
    assert num_words % WORDS == 0
    size = num_rows * num_words
    memory = np.zeros(size + WORDS, dtype=np.uint64)
    start = -memory.ctypes.data % (8 * WORDS) // 8
    return memory[start : start + size].reshape(num_rows, num_words)


def _operation(build: Callable[..., Any], arity: int, returns: Any = _VECTOR) -> Any:
    """An intrinsic on `arity` vectors; `build(builder, *vectors)` makes its instructions."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return build(builder, *arguments)

    def no_vectors(typing_context: Any) -> Any:
        return returns(), generate

    def one_vector(typing_context: Any, a: Any) -> Any:
        return returns(_VECTOR), generate

    def two_vectors(typing_context: Any, a: Any, b: Any) -> Any:
        return returns(_VECTOR, _VECTOR), generate

    return intrinsic((no_vectors, one_vector, two_vectors)[arity])


def _call(builder: Any, name: str, returns: Any, vector: Any) -> Any:
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(returns, [_IR_TYPE]), name)
    return builder.call(function, [vector])


def _is_any(builder: Any, vector: Any) -> Any:
    word = _call(builder, f"llvm.vector.reduce.or.v{WORDS}i64", ir.IntType(64), vector)
    return builder.icmp_unsigned("!=", word, ir.Constant(word.type, 0))


no_bits = _operation(lambda builder: ir.Constant(_IR_TYPE, [0] * WORDS), 0)
both = _operation(lambda builder, a, b: builder.and_(a, b), 2)
either = _operation(lambda builder, a, b: builder.or_(a, b), 2)
differ = _operation(lambda builder, a, b: builder.xor(a, b), 2)
without = _operation(lambda builder, a, b: builder.and_(a, builder.not_(b)), 2)
any_bit = _operation(_is_any, 1, types.boolean)
# How many bits: a number in each of the eight words, their sums, and the total of all eight.
word_counts = _operation(lambda builder, a: _call(builder, f"llvm.ctpop.v{WORDS}i64", _IR_TYPE, a), 1)
add_counts = _operation(lambda builder, a, b: builder.add(a, b), 2)
total_count = _operation(
    lambda builder, a: _call(builder, f"llvm.vector.reduce.add.v{WORDS}i64", ir.IntType(64), a), 1, types.int64
)


@intrinsic
def load_bits(typing_context: Any, address: Any, index: Any) -> Any:
    """Vector `index` of a row of words at `address`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        base = builder.inttoptr(arguments[0], _IR_TYPE.as_pointer())
        return builder.load(cgutils.gep_inbounds(builder, base, arguments[1]), align=8)

    return _VECTOR(types.int64, types.int64), generate


@intrinsic
def store_bits(typing_context: Any, address: Any, index: Any, vector: Any) -> Any:
    """Writes vector `index` of a row of words at `address`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        base = builder.inttoptr(arguments[0], _IR_TYPE.as_pointer())
        builder.store(arguments[2], cgutils.gep_inbounds(builder, base, arguments[1]), align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, _VECTOR), generate


@intrinsic
def trailing_zeros(typing_context: Any, word: Any) -> Any:
    """The position, int64, of the lowest bit of a uint64; 64 where there is none."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], cgutils.false_bit)

    return types.int64(types.uint64), generate


@intrinsic
def bit_count(typing_context: Any, word: Any) -> Any:
    """How many bits, int64, of a uint64 are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@kernel_inline
def full_adder(a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    """(sum, carry) of three bits in each of the 512 places. Two instructions with AVX-512."""
    return differ(differ(a, b), c), either(both(a, b), both(c, either(a, b)))
