"""The best items of every user: exact, and unique whatever the blocks, threads, workers or BLAS.

A ranking is ordered by (float64 inner product summed in a fixed order, descending; smaller item index first). To
compute every score that way would cost many times the matrix product, so the product in float32 is only a filter: an
item whose float32 score cannot reach the user's K-th best so far, by a bound on the rounding error of any matrix
product, is passed over; the few others are scored exactly. How the product is cut and in what order it sums thus
changes no list. On a GPU the product runs there and its blocks are copied to the host (run once, on an H200: the same
lists).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.process import single_threaded_torch

_CHUNK = 64  # scores that the filter compares at once
# What truncating a factor to TF32 or bfloat16 loses of it, by torch.get_float32_matmul_precision().
_FACTOR_ROUNDING = {"highest": 0.0, "high": 2.0**-10, "medium": 2.0**-7}


def top_k(
    user_vectors: torch.Tensor,
    item_vectors: torch.Tensor,
    excluded: tuple[np.ndarray, np.ndarray],
    k: int,
    *,
    user_block: int = 512,
    item_block: int = 1024,
    num_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks all items for every user by inner product and keeps the best K.

    Args:
        user_vectors: float32 [n, d], on any device.
        item_vectors: float32 [I, d], on the same device.
        excluded: items never listed for a user: int64 [n + 1] offsets into int32 items, ascending within a user.
        k: length of a list.
        user_block, item_block: whose scores a thread holds at once (4 B each): they should fit the L2 cache.
        num_threads: CPU threads, each with a block of users.

    Returns:
        items: int32 [n, k], best first, -1 where fewer than k items are left.
        scores: float64 [n, k], -inf there.

    Raises:
        UserError: a vector is not finite.
    """
    assert user_vectors.dtype == item_vectors.dtype == torch.float32 and k >= 1
    assert user_vectors.shape[1] == item_vectors.shape[1] and len(excluded[0]) == len(user_vectors) + 1
    users, items = _host_array(user_vectors, "user"), _host_array(item_vectors, "item")
    lists = _new_lists(excluded[0], k)
    vectors = _Vectors(user_vectors.detach(), item_vectors.detach(), users, items, _tolerances(users, items))

    def rank_block(first_user: int) -> None:
        span = slice(first_user, min(first_user + user_block, len(users)))
        _rank_block(vectors, span, item_block, excluded[1], _Lists(*(values[span] for values in lists)))

    with single_threaded_torch(num_threads, user_vectors.device) as pool:
        list(pool.map(rank_block, range(0, len(users), user_block)))
    return lists.items, lists.scores


class _Vectors(NamedTuple):
    """What is ranked: where the product runs, and on the host."""

    user_vectors: torch.Tensor  # float32 [n, d]
    item_vectors: torch.Tensor  # float32 [I, d]
    users: np.ndarray
    items: np.ndarray
    tolerances: np.ndarray  # float64 [n]


class _Lists(NamedTuple):
    """The lists of n users while they grow, and how far each user's excluded items were passed."""

    items: np.ndarray  # int32 [n, k], best first
    scores: np.ndarray  # float64 [n, k]
    cursors: np.ndarray  # int64 [n], the next excluded item of each user
    ends: np.ndarray  # int64 [n], behind the last one


def _new_lists(excluded_offsets: np.ndarray, k: int) -> _Lists:
    num_users = len(excluded_offsets) - 1
    items, scores = np.full((num_users, k), -1, dtype=np.int32), np.full((num_users, k), -np.inf)
    return _Lists(items, scores, excluded_offsets[:-1].copy(), excluded_offsets[1:])


def _rank_block(vectors: _Vectors, span: slice, item_block: int, excluded_items: np.ndarray, lists: _Lists) -> None:
    """Fills the `lists` of the users of `span`, a block of items at a time.

    A thread multiplies and scans its own users, so that scores are read from its cache; the product itself must then be
    single-threaded. (10,000 x 100,000 x 64 on 2 cores: 0.8 s; products over all cores, in turn, 1.2 s.)
    """
    num_users = span.stop - span.start
    buffer = vectors.user_vectors.new_empty(num_users * item_block)
    for first_item in range(0, len(vectors.items), item_block):
        item_vectors = vectors.item_vectors[first_item : first_item + item_block]
        scores = buffer[: num_users * len(item_vectors)].view(num_users, len(item_vectors))
        torch.mm(vectors.user_vectors[span], item_vectors.T, out=scores)
        users, tolerances = vectors.users[span], vectors.tolerances[span]
        _scan(scores.cpu().numpy(), first_item, users, vectors.items, tolerances, excluded_items, lists)


def _host_array(vectors: torch.Tensor, name: str) -> np.ndarray:
    """The vectors as a C-contiguous array, all finite."""
    array = np.ascontiguousarray(vectors.detach().cpu().numpy())
    if not np.isfinite(array.sum(dtype=np.float64)):  # float64 cannot overflow here, and needs no copy
        rows = np.flatnonzero(~np.isfinite(array).all(axis=1))
        raise UserError(
            f"cannot rank: {len(rows)} of {len(array)} {name} vectors are not finite, the first is {name} {rows[0]} "
            "(row index); the training diverged: lower the learning rate, or look for extreme values in the features"
        )
    return array


def _tolerances(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """float64 [n]: how far a float32 score of the user may be from the exact one, at most.

    Summing d products in any order errs by at most about d * 2^-24 * |u| * |i|; the rest is room for the rounding of
    the threshold itself and of the float64 sum, for products below the smallest normal number, and for coarser factors
    where the matrix precision of torch was lowered. NaN, to which nothing compares as lower so that nothing is
    filtered, where a float32 could overflow. 0 for the zero vector: its scores all tie, and no tie enters a full list.
    """
    width = users.shape[1]
    user_norms = np.sqrt(np.einsum("ud,ud->u", users, users, dtype=np.float64))
    max_item_norm = np.sqrt(np.einsum("id,id->i", items, items, dtype=np.float64).max(initial=0.0))
    largest = user_norms * max_item_norm
    relative = (width + 4) * 2.0**-24 + 2.1 * _FACTOR_ROUNDING[torch.get_float32_matmul_precision()]
    absolute = (width + 2) * float(np.finfo(np.float32).tiny)
    tolerances = np.where(largest > 0, 1.01 * relative * largest + absolute, 0.0)
    return np.where(largest < 1e38, tolerances, np.nan)


@kernel
def _scan(
    scores: np.ndarray,
    first_item: int,
    users: np.ndarray,
    items: np.ndarray,
    tolerances: np.ndarray,
    excluded: np.ndarray,
    lists: _Lists,
) -> None:
    """Merges a block of float32 `scores` [m, b] of items first_item.. into the lists of m users.

    The cursors walk along each user's excluded items; items must come in ascending order from call to call.
    """
    best_items, best_scores, cursors, ends = lists
    for row in range(scores.shape[0]):
        worst = best_scores[row, -1]
        threshold = np.float32(worst - tolerances[row])
        for start in range(0, scores.shape[1], _CHUNK):
            chunk = scores[row, start : start + _CHUNK]
            if not _any_above(chunk, threshold):
                continue
            for k in range(len(chunk)):
                if chunk[k] <= threshold:
                    continue
                item = first_item + start + k
                while cursors[row] < ends[row] and excluded[cursors[row]] < item:
                    cursors[row] += 1
                if cursors[row] < ends[row] and excluded[cursors[row]] == item:
                    continue
                exact = _inner_product(users[row], items[item])
                if exact > worst:  # an equal score comes later, so it ranks lower
                    _insert(best_items[row], best_scores[row], item, exact)
                    worst = best_scores[row, -1]
                    threshold = np.float32(worst - tolerances[row])


@kernel
def _any_above(scores: np.ndarray, threshold: float) -> bool:
    """Whether any score is not at or below the threshold. Without a branch, so that vector instructions do it."""
    any_above = np.int32(0)  # with a bool, or a length known when compiled, LLVM makes code four times slower
    for k in range(len(scores)):
        any_above = np.int32(any_above | np.int32(not scores[k] <= threshold))  # Numba widens `|=` to int64
    return any_above != 0


@kernel
def _inner_product(user: np.ndarray, item: np.ndarray) -> float:
    """In float64: exact products, summed in a fixed order (four interleaved sums hide the latency of an addition)."""
    width = len(user)
    whole = width - width % 4
    a = b = c = d = 0.0
    for k in range(0, whole, 4):
        a += np.float64(user[k]) * np.float64(item[k])
        b += np.float64(user[k + 1]) * np.float64(item[k + 1])
        c += np.float64(user[k + 2]) * np.float64(item[k + 2])
        d += np.float64(user[k + 3]) * np.float64(item[k + 3])
    for k in range(whole, width):
        a += np.float64(user[k]) * np.float64(item[k])
    return (a + b) + (c + d)


@kernel
def _insert(best_items: np.ndarray, best_scores: np.ndarray, item: int, score: float) -> None:
    """Puts the item behind all that score at least as much; the last of the list drops out."""
    place = len(best_scores) - 1
    while place > 0 and best_scores[place - 1] < score:
        best_scores[place] = best_scores[place - 1]
        best_items[place] = best_items[place - 1]
        place -= 1
    best_scores[place] = score
    best_items[place] = item
