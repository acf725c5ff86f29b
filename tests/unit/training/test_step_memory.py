"""A batch and a step cost the same memory whatever the number of users: the same interactions, ever more idle users."""

from __future__ import annotations

import ctypes
import gc
import platform
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dualgnn_dist.base.batch import Batch
from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.writer import StoreWriter
from dualgnn_dist.embeddings.adam.missed_steps import missed_steps
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.trainer import Trainer

CONFIG = Path(__file__).parents[3] / "configs" / "debug.yaml"
FEW, MANY = 100, 1_000_000
INT32 = 4  # bytes: an array with a number for every user has at least so many for each


def lists(csr: ShardedCSR, num_rows: int) -> dict[str, pa.Array]:
    """A graph's columns, with empty rows up to `num_rows`."""
    offsets, neighbors = csr.gather(np.arange(csr.num_rows, dtype=np.int32))
    offsets = np.pad(offsets, (0, num_rows - csr.num_rows), mode="edge")
    columns = {"neighbors": neighbors}
    if csr.counts is not None:
        columns["counts"] = np.concatenate([csr.row_counts(row) for row in range(csr.num_rows)])
    return {name: pa.LargeListArray.from_arrays(offsets, values) for name, values in columns.items()}


def with_idle_users(store: Store, path: Path, num_users: int) -> Store:
    manifest = store.manifest
    with StoreWriter(path, 1 << 17) as writer:
        writer.append_rows("ids/users", {"id": np.arange(num_users)})
        writer.append_rows("ids/items", {"id": np.arange(manifest.num_items)})
        for split in manifest.num_interactions:
            kept = store.interactions(split)
            columns = {"user": kept.users.to_numpy(), "item": kept.items.to_numpy()}
            writer.append_rows(f"interactions/{split}", columns)
        writer.append_rows("graph/user_item", lists(store.user_item, num_users))
        writer.append_rows("graph/item_user", lists(store.item_user, manifest.num_items))
        writer.append_rows("graph/user_cooccurrence", lists(store.user_cooccurrence, num_users))
        for name in manifest.modalities:
            writer.append_rows(f"features/{name}", {"feature": pa.concat_arrays(store.features(name).shards)})
        writer.commit(
            num_users=num_users,
            num_items=manifest.num_items,
            num_interactions=manifest.num_interactions,
            modalities=manifest.modalities,
            settings=manifest.settings,
            sources={},
        )
    return Store.open(path)


@pytest.fixture(scope="module", params=["independent", "shared"])
def trainers(
    request: pytest.FixtureRequest, demo_store: Store, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, Trainer]:
    folder = tmp_path_factory.mktemp("idle_users")
    made = {}
    for num_users in (FEW, MANY):
        store = with_idle_users(demo_store, folder / f"{num_users}", num_users)
        settings = [f"data.store={store.path}", f"run.output={folder}", "model.width=2", "sampler.batch_size=32"]
        settings.append(f"sampler.draws={request.param}")
        made[num_users] = Trainer.build(load(CONFIG, settings), store, Host(World()))
    return made


def status(field: str) -> int:
    """Bytes of one line of this process's status: what is resident now, or was at most."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) * 1024


def peak(run: Callable[[], Any]) -> tuple[int, int]:
    """Bytes that a repeated call adds at most: those of Python and NumPy, and all that become resident."""
    for _ in range(3):
        run()
    gc.collect()
    missed_steps.cache_clear()  # what an earlier test happened to leave there would not be made
    tracemalloc.start()
    run()
    traced = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed and kept would be handed out again unnoticed
    Path("/proc/self/clear_refs").write_text("5")  # the most resident ever := what is resident now
    before = status("VmRSS")
    run()
    return traced, status("VmHWM") - before


class LargestNewTensor(TorchDispatchMode):
    """The elements of the largest tensor that is made, not counting views and results written in place."""

    elements = 0

    def __torch_dispatch__(self, function: Any, kinds: Any, arguments: Any = (), keywords: Any = None) -> Any:
        results = function(*arguments, **(keywords or {}))
        known = {storage(value) for value in tree_leaves((arguments, keywords)) if is_dense(value)}
        for result in tree_leaves(results):
            if is_dense(result) and storage(result) not in known:
                self.elements = max(self.elements, result.untyped_storage().nbytes() // result.element_size())
        return results


def is_dense(value: Any) -> bool:
    """Whether it is a tensor with storage; a sparse one is made of such tensors, which were counted."""
    return isinstance(value, torch.Tensor) and value.layout == torch.strided


def storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


linux_only = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists() or platform.libc_ver()[0] != "glibc", reason="needs Linux and glibc"
)


def same(one: Batch, other: Batch) -> bool:
    a, b = one.around.subgraph, other.around.subgraph
    return (
        torch.equal(one.negatives, other.negatives) and torch.equal(a.users, b.users) and torch.equal(a.items, b.items)
    )


@linux_only
def test_a_batch_allocates_nothing_proportional_to_the_users(trainers: dict[int, Trainer]) -> None:
    assert same(*(trainer.loader.batch(0, 1) for trainer in trainers.values()))
    peaks = {users: peak(lambda trainer=trainer: trainer.loader.batch(0, 1)) for users, trainer in trainers.items()}
    assert abs(peaks[MANY][0] - peaks[FEW][0]) < 100_000
    assert peaks[MANY][1] < peaks[FEW][1] + INT32 * MANY


@linux_only
def test_a_step_allocates_nothing_proportional_to_the_users(trainers: dict[int, Trainer]) -> None:
    largest, peaks = {}, {}
    for users, trainer in trainers.items():
        batch = trainer.loader.batch(0, 1)
        peaks[users] = peak(lambda trainer=trainer, batch=batch: trainer.train_step(batch))
        with LargestNewTensor() as made:
            trainer.train_step(batch)
        largest[users] = made.elements
    assert largest[MANY] == largest[FEW] < MANY
    assert abs(peaks[MANY][0] - peaks[FEW][0]) < 100_000
    assert peaks[MANY][1] < peaks[FEW][1] + INT32 * MANY


@linux_only
def test_an_array_of_a_number_a_user_would_be_noticed() -> None:
    traced, resident = peak(lambda: np.ones(MANY, dtype=np.int32))
    assert min(traced, resident) > 0.9 * INT32 * MANY
    with LargestNewTensor() as made:
        torch.ones(MANY)
    assert made.elements == MANY
