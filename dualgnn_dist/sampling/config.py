"""How mini-batches are made: the `sampler` section of a config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from dualgnn_dist.base.config import setting
from dualgnn_dist.base.errors import nearest
from dualgnn_dist.sampling.draws import DRAWS


@dataclass(frozen=True, kw_only=True)
class SamplerConfig:
    """How mini-batches are made.

    Args:
        batch_size: interactions of a step over ALL workers; the training does not depend on their number.
        fanouts: neighbours drawn at hop 1, 2, ..; the last repeats where a model has more hops. `all` is exact.
        co_users: co-users drawn for each user of a batch, or `all` that the model reads.
        co_user_fanout: drawn at hop 1 of a co-user that is not itself a user of the batch; null: as of other users.
        draws: how a node chooses. `independent`: every node alone. `shared`: nodes with neighbours in common choose the
            same ones, so that a batch reaches fewer nodes. `pyg_lib`: pyg-lib's sampler, where it is installed.
        threads: that make batches ahead, for each worker.
        prefetch: batches made or waiting ahead, for each worker; at least one a thread.
        negatives: `uniform`, or `popularity`: in proportion to degree ^ `negative_alpha`.
        negative_alpha: of `popularity`: 0 is uniform, 1 goes by the plain number of a node's interactions.
        num_negatives: of each interaction; its loss is the mean over them.
        exclude_positives: whether a batch's own positive edges are left out of its sampled graphs: no propagation along
            them, and their items do not count as shared with co-users.
    """

    GONE: ClassVar[Mapping[str, str]] = {
        "backend": "write sampler.draws=pyg_lib for pyg_lib, and nothing for auto or numba"
    }

    batch_size: int = 2048
    fanouts: tuple[int, ...] | Literal["all"] = (10, 5)
    co_users: int | Literal["all"] = 4
    co_user_fanout: int | None = None
    draws: str = "independent"
    threads: int = setting(1, decides="speed")
    prefetch: int = setting(2, decides="speed")
    negatives: Literal["uniform", "popularity"] = "uniform"
    negative_alpha: float = 0.75
    num_negatives: int = 1
    exclude_positives: bool = False

    def __post_init__(self) -> None:
        if min(self.batch_size, self.threads, self.prefetch, self.num_negatives) < 1:
            raise ValueError("batch_size, threads, prefetch and num_negatives must be at least 1")
        if self.fanouts != "all" and (not self.fanouts or min(self.fanouts) < 1):
            raise ValueError(f"fanouts must be numbers of at least 1, or 'all', not {self.fanouts!r}")
        if self.co_users != "all" and self.co_users < 1:
            raise ValueError("co_users must be at least 1, or 'all'; model.max_co_users=0 leaves co-users out")
        if self.co_user_fanout is not None and self.co_user_fanout < 1:
            raise ValueError("co_user_fanout must be at least 1, or null: as other users")
        if self.draws not in DRAWS:
            raise ValueError(f"draws={self.draws!r} is not one of {', '.join(DRAWS)}{nearest(self.draws, DRAWS)}")
        if self.draws == "pyg_lib" and self.exclude_positives:
            raise ValueError("exclude_positives needs other draws than pyg_lib, which cannot leave edges out")
