"""Steps 1 to 5 of a mini-batch: (epoch, step) -> `Batch`, made ahead of time by threads.

A batch is a pure function of the store, the settings, the seed, (epoch, step) and this worker's place. So nothing here
has a state to save, and training resumes by naming the next step.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from dualgnn_dist.base.batch import Batch, Neighborhood, pin
from dualgnn_dist.base.randomness import HOPS, key
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.models import Recommender
from dualgnn_dist.models.co_users import CoUserRows
from dualgnn_dist.sampling import order
from dualgnn_dist.sampling.co_users import _co_user_matrix, sample_co_users
from dualgnn_dist.sampling.config import SamplerConfig
from dualgnn_dist.sampling.draws.independent import ALL, NOTHING_EXCLUDED, Excluded
from dualgnn_dist.sampling.hops import NeighborSampler, Seeds, parse_fanouts
from dualgnn_dist.sampling.negatives import _negative_sampler


@dataclass
class Sampled:
    """What the batches of an epoch held, counted up as they are handed out."""

    interactions: int = 0
    batch_users: int = 0
    batch_items: int = 0
    batch_edges: int = 0

    def add(self, batch: Batch) -> None:
        """Counts a batch of this worker."""
        around = batch.around.subgraph
        self.interactions += len(batch.users)
        self.batch_users += len(around.users)
        self.batch_items += len(around.items)
        self.batch_edges += sum(len(hop.to_users.sources) + len(hop.to_items.sources) for hop in around.hops)


class Loader:
    """This worker's batches.

    Args:
        seed: of the whole run; the same on every worker.
        as_bfloat16: dense features come rounded to bfloat16, as a forward pass in bfloat16 reads them: half the bytes.
    """

    def __init__(
        self,
        store: Store,
        model: Recommender,
        config: SamplerConfig,
        seed: int,
        world: World,
        as_bfloat16: bool = False,
    ) -> None:
        self._store, self._config, self._seed, self._world = store, config, seed, world
        self._as_bfloat16 = as_bfloat16
        self._interactions = store.interactions("train")
        self._co_users = model.co_users
        self._features = {name: store.features(name) for name in model.modalities}
        fanouts = parse_fanouts(config.fanouts, model.num_hops)
        self._negatives = _negative_sampler(store, config)
        self._sampler = NeighborSampler(store.user_item, store.item_user, fanouts, config.backend, config.draws)
        self.num_steps = order.num_steps(len(self._interactions.users), config.batch_size)
        self.waiting_seconds = 0.0
        self.sampled = Sampled()

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch in order. What they hold adds up in `sampled`, the wait in `waiting_seconds`."""
        steps = iter(range(first_step, self.num_steps))
        with ThreadPoolExecutor(self._config.threads, thread_name_prefix="loader") as threads:
            ahead: deque[Future[Batch]] = deque(
                threads.submit(self.batch, epoch, step)
                for step in islice(steps, max(self._config.prefetch, self._config.threads))
            )
            try:
                while ahead:
                    started = time.perf_counter()
                    batch = ahead.popleft().result()
                    self.waiting_seconds += time.perf_counter() - started
                    ahead.extend(threads.submit(self.batch, epoch, step) for step in islice(steps, 1))
                    self.sampled.add(batch)
                    yield batch
            finally:
                for future in ahead:
                    future.cancel()

    def batch(self, epoch: int, step: int) -> Batch:
        """This worker's slice of global batch `step` of `epoch`; it may be empty at the end of an epoch."""
        users, positives, negatives = self.triples(epoch, step)
        batch_users, user_positions = np.unique(users, return_inverse=True)
        batch_items, item_positions = np.unique(np.concatenate([positives, negatives.ravel()]), return_inverse=True)
        excluded = NOTHING_EXCLUDED, NOTHING_EXCLUDED
        if self._config.exclude_positives:
            excluded = _edges_by_row(user_positions, positives), _edges_by_row(item_positions[: len(users)], users)
        made = Batch(
            torch.from_numpy(user_positions),
            torch.from_numpy(item_positions[: len(users)]),
            torch.from_numpy(item_positions[len(users) :].reshape(negatives.shape)),
            self.neighborhood(
                batch_users,
                batch_items,
                key(self._seed, epoch, step, HOPS),
                *excluded,
                all_users=self._all_users(epoch, step),
            ),
            self.global_size(step),
        )
        return pin(made) if self._world.device.type == "cuda" else made

    def triples(self, epoch: int, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Steps 1 and 2: int32 users [B], positives [B] and negatives [B, N] of this worker's slice."""
        total, size = len(self._interactions.users), self._config.batch_size
        slots, indices = order.batch_slice(total, size, self._seed, epoch, step, self._world.rank, self._world.size)
        users, positives = self._interactions.users.take(indices), self._interactions.items.take(indices)
        num_negatives = self._config.num_negatives
        return users, positives, self._negatives.sample(users, slots, num_negatives, self._seed, epoch, step)

    def global_size(self, step: int) -> int:
        """Interactions of global batch `step` over all workers: the last one of an epoch may be short."""
        return min(self._config.batch_size, len(self._interactions.users) - step * self._config.batch_size)

    def neighborhood(
        self,
        users: np.ndarray,
        items: np.ndarray,
        step_key: int,
        excluded_users: Excluded = NOTHING_EXCLUDED,
        excluded_items: Excluded = NOTHING_EXCLUDED,
        all_users: np.ndarray | None = None,
    ) -> Neighborhood:
        """Steps 3 to 5 for distinct ascending int32 `users` and `items`: a pure function of them and the step's key.

        Args:
            all_users: int32, those that draw all their fanout even where they are co-users; `users` by default.
        """
        co_rows = self._draw_co_users(users, step_key, excluded_users)
        seeds, num_light = self._seed_users(users, co_rows, users if all_users is None else all_users)
        light_fanout = self._config.co_user_fanout or ALL
        subgraph = self._sampler.sample(
            Seeds(seeds, items, excluded_users, excluded_items, num_light, light_fanout), step_key
        )
        co_users = None if co_rows is None else _co_user_matrix(co_rows, seeds)
        subgraph_items = subgraph.items.numpy()
        features = {name: column.gather(subgraph_items, self._as_bfloat16) for name, column in self._features.items()}
        return Neighborhood(subgraph, co_users, features)

    def _all_users(self, epoch: int, step: int) -> np.ndarray | None:
        """int32, the users of the GLOBAL batch, where that matters: a user must draw alike on every worker."""
        if self._world.size == 1 or self._co_users is None or self._config.co_user_fanout is None:
            return None
        total, size = len(self._interactions.users), self._config.batch_size
        return self._interactions.users.take(order.batch_slice(total, size, self._seed, epoch, step, 0, 1)[1])

    def _seed_users(
        self, users: np.ndarray, co_rows: CoUserRows | None, all_users: np.ndarray
    ) -> tuple[np.ndarray, int]:
        """`users`, then their co-users; and how many of the last ones draw the fanout of a co-user."""
        if co_rows is None:
            return users, 0
        others = np.setdiff1d(co_rows.neighbors, users)
        if self._config.co_user_fanout is None:
            return np.concatenate([users, others]), 0
        is_light = np.isin(others, all_users, invert=True)
        return np.concatenate([users, others[~is_light], others[is_light]]), int(is_light.sum())

    def _draw_co_users(self, users: np.ndarray, step_key: int, excluded: Excluded) -> CoUserRows | None:
        if self._co_users is None:
            return None
        num_drawn = -1 if self._config.co_users == "all" else self._config.co_users
        return sample_co_users(
            self._store.user_cooccurrence,
            users,
            self._co_users.max_neighbors,
            self._co_users.weighting,
            num_drawn,
            step_key,
            self._store.user_item,
            excluded,
        )


def _edges_by_row(positions: np.ndarray, neighbors: np.ndarray) -> Excluded:
    """Pairs (position of the row, neighbour) as rows of sorted neighbours; distinct, as a store has no duplicates."""
    by_row = np.lexsort((neighbors, positions))
    offsets = np.zeros(int(positions.max(initial=-1)) + 2, dtype=np.int64)
    np.cumsum(np.bincount(positions, minlength=len(offsets) - 1), out=offsets[1:])
    return Excluded(offsets, neighbors[by_row].astype(np.int32))
