"""Sharded embedding tables: row r lives on worker `r % size`, and moves only when a batch asks for it.

A step fetches its distinct rows in one lookup for all parts of a row (one all-to-all of row ids, one of values), and
sends their gradients back the same way (one all-to-all). The owners sum what several workers send for one row and take
one sparse Adam step on the rows that were touched.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import torch

from dualgnn_dist.parts import TablePart
from dualgnn_dist.routing import Route
from dualgnn_dist.row_adam import RowAdamConfig, RowState, read_rows, update_rows
from dualgnn_dist.world import World

_ROWS_PER_BLOCK = 65_536  # first values are drawn a block at a time, so they do not depend on the number of workers


@dataclass(frozen=True)
class _Fetch:
    """What one fetch handed out: needed again to send the gradients back."""

    fetched: torch.Tensor  # float32 [n, width], the leaf that was handed out
    route: Route | None  # None with one worker
    rows: torch.Tensor  # int64: distinct local rows that were asked for, on the storage device
    place: torch.Tensor  # int64 [requests]: where each request lies in `rows`


class ShardedTable:
    """`num_rows` rows of float32, in `parts` side by side, over the workers of `world`.

    Every worker takes part in every `fetch` and `apply_gradients`, with no rows if it has none to ask for.

    Args:
        name: of the table; with `seed` it determines the first values.
        parts: name -> width and first values, in the order of the columns.
        storage: `device` keeps the rows on the worker's device, `host` in CPU memory: then rows and gradients are
            copied over at every step, and the table may be larger than the device.

    Attributes:
        columns: part name -> its slice of a row.
        width: columns in all.
        step: calls of `apply_gradients` so far.
        state: the rows this worker owns, with their moments: row r at position `r // size`.
    """

    def __init__(
        self,
        name: str,
        num_rows: int,
        parts: dict[str, TablePart],
        world: World,
        seed: int,
        optimizer: RowAdamConfig,
        storage: Literal["device", "host"] = "device",
    ) -> None:
        self.name, self.num_rows, self.world, self.optimizer = name, num_rows, world, optimizer
        self.columns: dict[str, slice] = {}
        self.width = 0
        for part, declared in parts.items():
            self.columns[part] = slice(self.width, self.width + declared.width)
            self.width += declared.width
        self.storage_device = world.device if storage == "device" else torch.device("cpu")
        values = _first_values(name, num_rows, parts, world, seed).to(self.storage_device)
        last_step = torch.zeros(len(values), dtype=torch.int32, device=self.storage_device)
        self.state = RowState(values, torch.zeros_like(values), torch.zeros_like(values), last_step)
        self.step = 0
        self._last: _Fetch | None = None

    @property
    def row_ids(self) -> torch.Tensor:
        """int64 [local rows] on the storage device: the rows this worker owns, in the order of `state`."""
        local = torch.arange(len(self.state.values), device=self.storage_device)
        return local * self.world.size + self.world.rank

    @property
    def part_widths(self) -> dict[str, int]:
        """Part name -> its width, in the order of the columns."""
        return {part: columns.stop - columns.start for part, columns in self.columns.items()}

    def fetch(self, rows: torch.Tensor) -> torch.Tensor:
        """The rows' current values, collective over the workers.

        Args:
            rows: int32 or int64 [n], DISTINCT, on any device.

        Returns:
            float32 [n, width] on the worker's device, in the order of `rows`: a leaf that gathers a gradient, to be
            handed to `apply_gradients` before the next training fetch of this table.
        """
        rows = rows.to(self.world.device, torch.int64)
        if self.world.size == 1:
            local = rows.to(self.storage_device)
            fetched = self._read(local).to(self.world.device).requires_grad_()
            self._last = _Fetch(fetched, None, local, local)
            return fetched
        route = Route(rows, self.world)
        distinct, place = torch.unique(route.asked.to(self.storage_device), return_inverse=True)
        answers = self._read(distinct).index_select(0, place).to(self.world.device)
        fetched = route.answer(answers).requires_grad_()
        self._last = _Fetch(fetched, route, distinct, place)
        return fetched

    def apply_gradients(self, fetched: torch.Tensor) -> None:
        """One optimizer step on the rows that the last `fetch` asked for on any worker; collective over the workers.

        A row's gradient is the sum over the workers that fetched it, divided by the number of ALL workers: each
        worker's loss is the mean over its own part of the global batch, so this is the gradient of the global mean, the
        same average that DDP takes of the dense weights.

        Args:
            fetched: what the last `fetch` returned, after `backward`. Without a gradient it counts as zeros.
        """
        last, self._last = self._last, None
        assert last is not None and last.fetched is fetched, "it takes what the last fetch returned, once"
        gradient = torch.zeros_like(fetched) if fetched.grad is None else fetched.grad
        if last.route is None:
            gradient = gradient.to(self.storage_device)
        else:
            received = last.route.send_back(gradient).to(self.storage_device)
            gradient = _sum_by_row(received, last.place, last.route.num_asked, len(last.rows)).div_(self.world.size)
        self.step += 1
        update_rows(self.state, last.rows, gradient, self.step, self.optimizer, self.world.num_threads)

    def local_rows(self, start: int = 0, stop: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """This worker's rows for reading, brought up to date; no communication.

        The table itself is left as it is, so that an evaluation cannot change the bits of a training. The price is a
        copy: read a large table in ranges of local positions `start` to `stop`.

        Returns:
            row ids int64 [k] and values float32 [k, width], both on the storage device.
        """
        local = torch.arange(len(self.state.values), device=self.storage_device)[start:stop]
        values = read_rows(self.state, local, self.step, self.optimizer, self.world.num_threads, keep=False)
        return self.row_ids[start:stop], values

    def state_dict(self) -> dict[str, Any]:
        """The state itself, not copies: values, both moments and last steps of this worker's rows, and the step.

        Rows are not brought up to date first: `last_step` says where each stands, and a training resumed from here
        goes on bit for bit.
        """
        return {**self.state._asdict(), "step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave on a table of the same shape and the same worker."""
        for name, target in self.state._asdict().items():
            assert state[name].shape == target.shape, f"{self.name}: {name} has another shape"
            target.copy_(state[name])
        self.step, self._last = int(state["step"]), None

    def _read(self, local: torch.Tensor) -> torch.Tensor:
        return read_rows(self.state, local, self.step, self.optimizer, self.world.num_threads)


def _sum_by_row(gradient: torch.Tensor, place: torch.Tensor, receive: list[int], num_rows: int) -> torch.Tensor:
    """Sums rows with the same place, [num_rows, width]. One worker's rows are distinct, so adding the workers one after
    another, in rank order, never adds twice to a row at once: the sum is the same every time, on CUDA too."""
    total = gradient.new_zeros(num_rows, gradient.shape[1])
    for part, part_place in zip(gradient.split(receive), place.split(receive), strict=True):
        total.index_add_(0, part_place, part)
    return total


def _first_values(name: str, num_rows: int, parts: dict[str, TablePart], world: World, seed: int) -> torch.Tensor:
    """float32 [local rows, width] on the CPU. Every worker draws every block and keeps its own rows of it."""
    width = sum(part.width for part in parts.values())
    values = torch.empty(len(range(world.rank, num_rows, world.size)), width)

    def draw(block: int) -> None:
        start = block * _ROWS_PER_BLOCK
        block_rows = min(_ROWS_PER_BLOCK, num_rows - start)
        skip = (world.rank - start) % world.size
        first = (start + skip) // world.size
        column = 0
        for part_name, part in parts.items():
            generator = torch.Generator().manual_seed(_hash(seed, name, part_name, block))
            mine = part.initial(block_rows, num_rows, part.width, generator)[skip :: world.size]
            values[first : first + len(mine), column : column + part.width] = mine
            column += part.width

    with ThreadPoolExecutor(world.num_threads) as pool:
        list(pool.map(draw, range(-(-num_rows // _ROWS_PER_BLOCK))))
    return values


def _hash(*key: object) -> int:
    """63 bits that depend on every element of the key and on nothing else, on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "little") >> 1
