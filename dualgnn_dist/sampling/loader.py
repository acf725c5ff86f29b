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
from dualgnn_dist.base.randomness import HOPS, Word, key
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.models import Recommender
from dualgnn_dist.sampling import order
from dualgnn_dist.sampling.co_users import CoUserSampler, co_user_matrix
from dualgnn_dist.sampling.config import SamplerConfig
from dualgnn_dist.sampling.draws import ALL
from dualgnn_dist.sampling.hops import NeighborSampler, parse_fanouts
from dualgnn_dist.sampling.negatives import NegativeSampler
from dualgnn_dist.sampling.wanted import Triples, Wanted


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
        self._config, self._seed, self._world, self._as_bfloat16 = config, seed, world, as_bfloat16
        self._interactions = store.interactions("train")
        self._fanouts = parse_fanouts(config.fanouts, model.num_hops)
        self._negatives = NegativeSampler.of_store(store, config)
        self._co_users = None
        if model.co_users is not None:
            num_drawn = None if config.co_users == "all" else config.co_users
            self._co_users = CoUserSampler(store.user_cooccurrence, store.user_item, model.co_users, num_drawn)
        self._hops = NeighborSampler(store.user_item, store.item_user, self._fanouts, config.draws)
        self._columns = {name: store.features(name) for name in model.modalities}
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
        triples = self.triples(epoch, step)  # 1 order, 2 negatives
        wanted, positions = Wanted.of(triples, self._config.exclude_positives, self._batch_users(epoch, step))
        around = self.neighborhood(wanted, key(self._seed, epoch, step, HOPS))  # 3 co-users, 4 hops, 5 content
        users, positives, negatives = map(torch.from_numpy, positions)
        batch = Batch(users, positives, negatives, around, self.global_size(step))
        return pin(batch) if self._world.device.type == "cuda" else batch

    def triples(self, epoch: int, step: int) -> Triples:
        """Steps 1 and 2: this worker's slice of the global batch, int32 rows of the store."""
        slots, indices = self._slice(epoch, step, self._world.rank, self._world.size)
        users, positives = self._interactions.users.take(indices), self._interactions.items.take(indices)
        num_negatives = self._config.num_negatives
        negatives = self._negatives.sample(users, slots, num_negatives, self._seed, epoch, step)
        return Triples(users, positives, negatives)

    def neighborhood(self, wanted: Wanted, step_key: Word) -> Neighborhood:
        """Steps 3 to 5: a pure function of what is wanted and the uint64 key of the step."""
        co_users = None
        if self._co_users is not None:
            co_users = self._co_users.sample(wanted.users, step_key, wanted.excluded_of_users)
        seeds = wanted.seeds(co_users, next(iter(self._fanouts), ALL), self._config.co_user_fanout)
        subgraph = self._hops.sample(seeds, step_key)
        items = subgraph.items.numpy()
        content = {name: column.gather(items, self._as_bfloat16) for name, column in self._columns.items()}
        matrix = None if co_users is None else co_user_matrix(co_users, seeds.users)
        return Neighborhood(subgraph, matrix, content)

    def global_size(self, step: int) -> int:
        """Interactions of global batch `step` over all workers: the last one of an epoch may be short."""
        return min(self._config.batch_size, len(self._interactions.users) - step * self._config.batch_size)

    def _slice(self, epoch: int, step: int, rank: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        num_interactions, batch_size = len(self._interactions.users), self._config.batch_size
        return order.batch_slice(num_interactions, batch_size, self._seed, epoch, step, rank, size)

    def _batch_users(self, epoch: int, step: int) -> np.ndarray | None:
        """int32, the users of the GLOBAL batch, where that matters: a user must draw alike on every worker."""
        if self._world.size == 1 or self._co_users is None or self._config.co_user_fanout is None:
            return None
        return self._interactions.users.take(self._slice(epoch, step, 0, 1)[1])
