"""The fixture `run_workers`: a function on several gloo workers.

A plugin of `conftest.py` and not a part of it: processes find `_work` by the name of its module, and there are several
modules named conftest.
"""

from __future__ import annotations

import datetime
import itertools
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing

from dualgnn_dist.base.world import World

# Workers are forked from a server that has imported these once, instead of importing torch for seconds each.
multiprocessing.set_forkserver_preload(["torch", "dualgnn_dist.embeddings.sharded_table"])


@pytest.fixture
def run_workers(tmp_path: Path) -> Callable[..., list[Any]]:
    """`run_workers(function, size, *arguments)`: `function(world, *arguments)` on `size` gloo workers, each a process.

    `function` stands at the top of its test file, so that the processes can import it; it and the arguments are
    pickled. Gives back what each worker returned, by rank. One worker runs in this process. A worker that raises
    fails the test with its traceback.
    """
    calls = itertools.count()

    def run(function: Callable[..., Any], size: int, *arguments: Any) -> list[Any]:
        if size == 1:
            return [function(World(), *arguments)]
        folder = tmp_path / f"workers-{next(calls)}"
        folder.mkdir()
        torch.multiprocessing.start_processes(
            _work, (size, folder, function, arguments), nprocs=size, start_method="forkserver"
        )
        return [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in range(size)]

    return run


def _work(rank: int, size: int, folder: Path, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'rendezvous'}",
        rank=rank,
        world_size=size,
        timeout=datetime.timedelta(seconds=60),
    )
    try:
        result = function(World(rank, size), *arguments)
    finally:
        dist.destroy_process_group()
    (folder / f"{rank}.pickle").write_bytes(pickle.dumps(result))
