"""What a step of a sharded table costs, beside TorchRec: rows fetched forward, gradients returned and rows updated.

Every worker asks for the same number of distinct rows, every contender for the same ones, and the contenders take turns
step by step, so that what else runs on the machine hits them alike. Ours steps Adam (two moments a number, missed steps
made up), TorchRec's fused row-wise Adagrad keeps one number a row; `plain` is what a few lines of torch do: an
all-to-all with `index_select`, and `SparseAdam`.

TorchRec is for this measurement only, in a folder of its own, beside the environment's torch:

    pip install --target rivals --no-deps torchrec==1.9.2 fbgemm-gpu-cpu==1.8.0 tensordict torchmetrics==1.0.3 \
        pyre-extensions pyvers cloudpickle typing-inspect iopath
    PYTHONPATH=rivals OMP_NUM_THREADS=1 python benchmarks/tables.py
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, Protocol

import common
import matplotlib
import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dualgnn_dist.base.table_part import Normal, TablePart
from dualgnn_dist.base.world import World
from dualgnn_dist.embeddings.config import AdamConfig
from dualgnn_dist.embeddings.sharded_table import ShardedTable

matplotlib.use("Agg")
from matplotlib import pyplot

try:
    import torchrec
    from fbgemm_gpu.split_embedding_configs import EmbOptimType
    from torchrec.distributed.embedding import EmbeddingCollectionSharder
    from torchrec.distributed.model_parallel import DistributedModelParallel
    from torchrec.distributed.planner import EmbeddingShardingPlanner, Topology
    from torchrec.distributed.planner.types import ParameterConstraints
    from torchrec.distributed.types import ShardingEnv

    WITHOUT_TORCHREC = ""
except ImportError as error:
    WITHOUT_TORCHREC = f"TorchRec is not measured: {error}"

LEARNING_RATE = 0.01


class Contender(Protocol):
    """A table over all workers."""

    def forward(self, rows: Tensor) -> Tensor:
        """float32 [n, width] of int64 [n] distinct rows."""

    def backward(self, values: Tensor, gradient: Tensor) -> None:
        """Returns the gradient of what `forward` gave to the rows' owners and updates the rows."""


class Ours:
    """`ShardedTable` with the Adam that catches up."""

    def __init__(self, options: argparse.Namespace, world: World) -> None:
        parts = {"all": TablePart(options.width, Normal(0.01))}
        self._table = ShardedTable("users", options.rows, parts, world, 0, AdamConfig(learning_rate=LEARNING_RATE))
        self._table.step, state = 1000, self._table.state  # under way: every row has missed up to 100 steps
        state.first_moment.normal_(std=1e-4)
        state.second_moment.fill_(1e-6)
        state.last_step.random_(901, 1001)

    def forward(self, rows: Tensor) -> Tensor:
        """See `Contender`."""
        return self._table.fetch(rows)

    def backward(self, values: Tensor, gradient: Tensor) -> None:
        """See `Contender`."""
        values.backward(gradient)
        self._table.apply_gradients(values)


class TorchRec:
    """`EmbeddingCollection`, row-wise, with the row-wise Adagrad that is fused into the backward pass."""

    def __init__(self, options: argparse.Namespace, world: World) -> None:
        table = torchrec.EmbeddingConfig(
            name="users", embedding_dim=options.width, num_embeddings=options.rows, feature_names=["user"]
        )
        module = torchrec.EmbeddingCollection(tables=[table], device=torch.device("meta"))
        sharder = EmbeddingCollectionSharder(
            fused_params={"optimizer": EmbOptimType.EXACT_ROWWISE_ADAGRAD, "learning_rate": LEARNING_RATE}
        )
        row_wise = {"users": ParameterConstraints(sharding_types=["row_wise"], compute_kernels=["fused"])}
        planner = EmbeddingShardingPlanner(Topology(world_size=world.size, compute_device="cpu"), constraints=row_wise)
        self._module = DistributedModelParallel(
            module,
            env=ShardingEnv.from_process_group(dist.group.WORLD),
            device=torch.device("cpu"),
            plan=planner.collective_plan(module, [sharder], dist.group.WORLD),
            sharders=[sharder],
        )

    def forward(self, rows: Tensor) -> Tensor:
        """See `Contender`."""
        ones = torch.ones(len(rows), dtype=torch.int64)
        return self._module(torchrec.KeyedJaggedTensor(keys=["user"], values=rows, lengths=ones))["user"].values()

    def backward(self, values: Tensor, gradient: Tensor) -> None:
        """See `Contender`."""
        values.backward(gradient)


class Plain:
    """An all-to-all with `index_select`, sparse gradients and `SparseAdam`."""

    def __init__(self, options: argparse.Namespace, world: World) -> None:
        own = len(range(world.rank, options.rows, world.size))
        self._world, self._rows = world, torch.nn.Parameter(torch.randn(own, options.width) * 0.01)
        self._optimizer = torch.optim.SparseAdam([self._rows], lr=LEARNING_RATE)

    def forward(self, rows: Tensor) -> Tensor:
        """See `Contender`."""
        self._order = (rows % self._world.size).argsort(stable=True)
        self._send = torch.bincount(rows % self._world.size, minlength=self._world.size).tolist()
        self._receive = self._world.exchange_lengths(self._send)
        self._asked = self._world.exchange(rows[self._order] // self._world.size, self._send, self._receive)
        answers = self._rows.detach().index_select(0, self._asked)
        received = self._world.exchange(answers, self._receive, self._send)
        return torch.empty_like(received).index_copy_(0, self._order, received).requires_grad_()

    def backward(self, values: Tensor, gradient: Tensor) -> None:
        """See `Contender`."""
        values.backward(gradient)
        received = self._world.exchange(values.grad.index_select(0, self._order), self._send, self._receive)
        self._rows.grad = torch.sparse_coo_tensor(self._asked[None], received, self._rows.shape)
        self._optimizer.step()


CONTENDERS: dict[str, type[Contender]] = {"ours": Ours, "torchrec": TorchRec, "plain": Plain}


class Traffic(TorchDispatchMode):
    """Counts collectives and the bytes that this worker hands to them."""

    def __init__(self) -> None:
        super().__init__()
        self.collectives = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Looks at what goes by and lets it go."""
        if func.namespace == "c10d" and "alltoall" in func._opname:
            self.collectives += 1
            self.bytes += args[1].nbytes
        return func(*args, **(kwargs or {}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--requested", type=int, default=49_000, help="distinct rows a step and worker")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS))
    options = parser.parse_args()
    if WITHOUT_TORCHREC:
        print(WITHOUT_TORCHREC)
        options.contenders = [name for name in options.contenders if name != "torchrec"]
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(work, (options, folder), nprocs=options.workers)
        rows = torch.load(Path(folder) / "rows.pt", weights_only=True)
    common.show(
        f"{options.rows:,} x {options.width}, {options.requested:,} rows a step, {options.workers} gloo workers", rows
    )
    draw(rows)
    common.file("tables", {"rows": rows, "options": vars(options), "without": WITHOUT_TORCHREC})


def work(rank: int, options: argparse.Namespace, folder: str) -> None:
    """One worker, from the process group to its part of the result."""
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    dist.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=options.workers)
    world = World(rank, options.workers, num_threads=options.threads)
    contenders = {name: CONTENDERS[name](options, world) for name in options.contenders}
    generator = torch.Generator().manual_seed(rank)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    traffic = {name: Traffic() for name in contenders}
    for step in range(options.steps + 2):  # the first compiles, the second counts
        rows = torch.randperm(options.rows, generator=generator)[: options.requested]
        gradient = torch.randn(len(rows), options.width, generator=generator)
        for name, contender in contenders.items():
            if step == 1:
                with traffic[name]:
                    one_step(contender, rows, gradient, world)
            elif taken := one_step(contender, rows, gradient, world):
                seconds[name].extend([taken] if step else [])
    if world.is_main:
        found = [row(name, seconds[name], traffic[name]) for name in contenders]
        torch.save(found, Path(folder) / "rows.pt")
    dist.destroy_process_group()


def one_step(contender: Contender, rows: Tensor, gradient: Tensor, world: World) -> tuple[float, float]:
    """Seconds forward, and backward with the update, until the last worker is done."""
    world.barrier()
    started = time.perf_counter()
    values = contender.forward(rows)
    world.barrier()
    forward = time.perf_counter()
    contender.backward(values, gradient)
    world.barrier()
    return forward - started, time.perf_counter() - forward


def row(name: str, seconds: list[tuple[float, float]], traffic: Traffic) -> dict[str, Any]:
    """The least and the median of each part."""
    made: dict[str, Any] = {"table": name}
    for part, values in zip(("forward", "backward + update"), zip(*seconds, strict=True), strict=True):
        made[f"{part} s"] = round(min(values), 4)
        made[f"median {part}"] = round(statistics.median(values), 4)
    return {**made, "exchanges": traffic.collectives, "MB sent": round(traffic.bytes / 1e6, 1)}


def draw(rows: list[dict[str, Any]]) -> None:
    """A bar for each contender: forward, and backward with the update on top of it."""
    figure, axes = pyplot.subplots(figsize=(6, 3.5), constrained_layout=True)
    names, forward = [made["table"] for made in rows], [made["forward s"] for made in rows]
    axes.bar(names, forward, label="forward")
    axes.bar(names, [made["backward + update s"] for made in rows], bottom=forward, label="backward + update")
    axes.set_ylabel("seconds a step")
    axes.legend()
    figure.savefig(common.RESULTS / "tables.png", dpi=110)


if __name__ == "__main__":
    main()
