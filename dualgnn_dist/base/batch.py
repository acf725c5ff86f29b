"""What the steps of a mini-batch hand to one another: frozen values, each documented with its shapes.

Legend: U, I users and items of the store; u, i users and items of a subgraph; B interactions of this worker's slice of
the batch; E edges; D feature width; T targets and S sources of a sparse matrix.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from dualgnn_dist.base.sparse import SparseRows

T = TypeVar("T")


@dataclass(frozen=True)
class Modality:
    """One kind of item content.

    Args:
        kind: `dense` is a vector an item; `tokens` a variable-length list of word ids an item.
        dimension: width of the vector, or size of the vocabulary.
    """

    kind: Literal["dense", "tokens"]
    dimension: int


@dataclass(frozen=True)
class Sizes:
    """All that a model must know of a store to make its parameters."""

    num_users: int
    num_items: int
    modalities: Mapping[str, Modality] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Hop:
    """The sampled edges of one hop: what the nodes within `hop - 1` hops of the seeds read from those within `hop`.

    Args:
        to_users: users within hop - 1 (rows) by items within hop (columns); every entry is 1.
        to_items: items within hop - 1 by users within hop.
        user_scale: float32, a row of `to_users`: neighbours available / neighbours drawn, so a sum over the drawn ones
            is an unbiased estimate of the sum over all; 0 where there are none.
        item_scale: the same for `to_items`.
    """

    to_users: SparseRows
    to_items: SparseRows
    user_scale: Tensor
    item_scale: Tensor


@dataclass(frozen=True)
class Subgraph:
    """The layered neighbourhood of some seeds. Nodes stand in the order of first reach, seeds first.

    Args:
        users: int32 [u], row indices into the store.
        items: int32 [i].
        user_degrees: int32 [u], degrees in the whole training graph, never in the sample.
        item_degrees: int32 [i].
        user_reach: for h = 0..L the number of users within h hops; the first of them are the seeds.
        item_reach: the same for items.
        hops: L hops; `hops[0]` is next to the seeds. Layer l of L reads `hops[L - l]`.
    """

    users: Tensor
    items: Tensor
    user_degrees: Tensor
    item_degrees: Tensor
    user_reach: tuple[int, ...]
    item_reach: tuple[int, ...]
    hops: tuple[Hop, ...]


@dataclass(frozen=True)
class Feature:
    """One modality of some items; an item that misses it has `present` False and no content.

    Args:
        present: bool [i].
        values: float32 [i, D], zeros where missing; bfloat16 where training is in bfloat16; None for tokens.
        offsets: int64 [i + 1] into `tokens`; None for dense modalities.
        tokens: int64 [n] word ids.
    """

    present: Tensor
    values: Tensor | None = None
    offsets: Tensor | None = None
    tokens: Tensor | None = None


@dataclass(frozen=True)
class Neighborhood:
    """All that some seeds' representations are computed from, beside table rows and weights.

    Args:
        subgraph: around the wanted users, their co-users and the wanted items.
        co_users: [wanted users, seed users] with estimated weights s(u, v), or None. Wanted users are the first seeds.
        features: modality -> content of `subgraph.items`.
    """

    subgraph: Subgraph
    co_users: SparseRows | None
    features: Mapping[str, Feature]


@dataclass(frozen=True)
class Batch:
    """One worker's slice of a global batch: B interactions with N negatives each.

    Args:
        users: int64 [B], positions among the wanted users of `around`.
        positives: int64 [B], positions among its items.
        negatives: int64 [B, N].
        around: the neighbourhood of the slice's distinct users and items.
        global_size: interactions of the whole batch over all workers.
    """

    users: Tensor
    positives: Tensor
    negatives: Tensor
    around: Neighborhood
    global_size: int


def to_device(value: T, device: torch.device) -> T:
    """The same value with every tensor on `device`; pinned tensors are copied without waiting."""
    return _map_tensors(value, lambda tensor: tensor.to(device, non_blocking=True))


def pin(value: T) -> T:
    """The same value in page-locked memory, from which a GPU copies without waiting."""
    return _map_tensors(value, lambda tensor: tensor.pin_memory())


def to_dtype(value: T, dtype: torch.dtype) -> T:
    """The same value with every floating-point tensor as `dtype` (the float64 oracles of the tests)."""
    return _map_tensors(value, lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)


def _map_tensors(value: Any, change: Any) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _map_tensors(getattr(value, field.name), change) for field in dataclasses.fields(value)}
        return type(value)(**fields)
    if isinstance(value, Mapping):
        return {key: _map_tensors(item, change) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_map_tensors(item, change) for item in value)
    return value
