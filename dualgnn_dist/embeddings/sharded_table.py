"""Sharded embedding tables: row r lives on worker `r % size`, and moves only when a batch asks for it.

A step fetches its distinct rows in one lookup for all parts of a row (one all-to-all of row ids, one of values), and
sends their gradients back the same way (one all-to-all). The owners sum what several workers send for one row and take
one sparse Adam step on the rows that were touched. What a worker asks of itself does not travel.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from dualgnn_dist.base.table_part import TablePart
from dualgnn_dist.base.world import World
from dualgnn_dist.embeddings.adam import RowState, read_rows, update_rows
from dualgnn_dist.embeddings.config import AdamConfig
from dualgnn_dist.embeddings.routing import Route, put_rows

_ROWS_PER_BLOCK = 65_536  # first values are drawn a block at a time, so they do not depend on the number of workers
_BYTES_OF_ROW_ID, _BYTES_OF_VALUE = torch.int64.itemsize, torch.float32.itemsize


@dataclass
class Traffic:
    """What the steps of a table asked for, counted up. A worker's own rows do not travel, and count no bytes.

    Attributes:
        own_rows, other_rows: distinct rows of each step that this worker owns, and that the others own.
        served_rows: rows of this worker that the others asked for.
        request_bytes: row ids sent to their owners.
        fetch_bytes: values received from the owners.
        return_bytes: gradients sent to the owners.
    """

    own_rows: int = 0
    other_rows: int = 0
    served_rows: int = 0
    request_bytes: int = 0
    fetch_bytes: int = 0
    return_bytes: int = 0

    def fetched(self, route: Route, width: int) -> None:
        """Counts a fetch of rows of `width` float32."""
        self.own_rows += route.num_own
        self.other_rows += route.num_others
        self.served_rows += route.num_served
        self.request_bytes += route.num_others * _BYTES_OF_ROW_ID
        self.fetch_bytes += route.num_others * width * _BYTES_OF_VALUE

    def returned(self, route: Route, width: int) -> None:
        """Counts the way back of its gradients."""
        self.return_bytes += route.num_others * width * _BYTES_OF_VALUE


@dataclass(frozen=True)
class _Fetch:
    """What one fetch handed out: needed again to send the gradients back."""

    fetched: torch.Tensor  # float32 [n, width], the leaf that was handed out
    route: Route
    rows: torch.Tensor  # int64: `route.asked` on the storage device


class _Memory:
    """Memory that is used again at every step: new pages cost more than the copying into them does.

    | buffer  | filled by       | with                                    | used until                          |
    |---------|-----------------|-----------------------------------------|-------------------------------------|
    | send    | fetch           | rows that the others asked for          | sent, in the same call              |
    | receive | fetch           | rows from their owners                  | put into `fetched`, in the same call|
    | fetched | fetch           | all rows asked for; it is handed out    | the next fetch of the table         |
    | send    | apply_gradients | gradients of the others' rows           | sent, in the same call              |
    | receive | apply_gradients | gradients of this worker's rows         | added up, in the same call          |
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._buffers: dict[tuple[str, torch.device], torch.Tensor] = {}

    def take(self, name: str, num_rows: int, device: torch.device) -> torch.Tensor:
        """float32 [num_rows, width], any values. It is overwritten when the same name is taken again."""
        buffer = self._buffers.get((name, device))
        if buffer is None or len(buffer) < num_rows:
            buffer = self._buffers[name, device] = _new_rows(num_rows + num_rows // 4, self._width, device)
        return buffer[:num_rows]


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
        traffic: what steps asked for since this object was made; it is no part of the state.
    """

    def __init__(
        self,
        name: str,
        num_rows: int,
        parts: dict[str, TablePart],
        world: World,
        seed: int,
        optimizer: AdamConfig,
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
        first, second = (_new_rows(len(values), self.width, self.storage_device).zero_() for _ in range(2))
        self.state = RowState(values, first, second, last_step)
        self.step = 0
        self.traffic = Traffic()
        self._memory = _Memory(self.width)
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
        """The rows' current values, collective over the workers. The table is left as it is.

        Args:
            rows: int32 or int64 [n], DISTINCT, on any device.

        Returns:
            float32 [n, width] on the worker's device, in the order of `rows`: a leaf that gathers a gradient, to be
            handed to `apply_gradients` before the next fetch of this table, which uses its memory again.
        """
        route = Route(rows.to(self.world.device, torch.int64), self.world)
        asked, own = route.asked.to(self.storage_device), route.num_own
        answers = self._read(asked[own:], out=self._memory.take("send", len(asked) - own, self.storage_device))
        fetched = self._memory.take("fetched", len(rows), self.storage_device)
        self._read(asked[:own], out=fetched, places=route.places[:own].to(self.storage_device))
        fetched = fetched.to(self.world.device)
        received = self._memory.take("receive", len(rows) - own, self.world.device)
        put_rows(fetched, route.places[own:], route.fetch(answers.to(self.world.device), out=received))
        self._last = _Fetch(fetched.requires_grad_(), route, asked)
        self.traffic.fetched(route, self.width)
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
        places, own, device = last.route.places, last.route.num_own, self.world.device
        sent = self._memory.take("send", len(places) - own, device)
        torch.index_select(gradient, 0, places[own:], out=sent)
        received = last.route.send_back(sent, out=self._memory.take("receive", len(last.rows) - own, device))
        self.traffic.returned(last.route, self.width)
        # What this worker has itself and then what the others sent, equal rows side by side: the same sum every time.
        rows, sources = last.rows, places[:own]
        if len(received):
            rows, order = torch.sort(rows, stable=True)
            sources = torch.cat([sources, len(gradient) + torch.arange(len(received), device=device)])
            sources = sources[order.to(device)]
        self.step += 1
        update_rows(
            self.state,
            rows,
            (gradient.to(self.storage_device), received.to(self.storage_device)),
            sources.to(self.storage_device),
            self.step,
            self.optimizer,
            self.world.num_threads,
            scale=1 / self.world.size,
        )

    def local_rows(self, start: int = 0, stop: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """This worker's rows for reading, brought up to date; no communication.

        The table itself is left as it is, so that an evaluation cannot change the bits of a training. The price is a
        copy: read a large table in ranges of local positions `start` to `stop`.

        Returns:
            row ids int64 [k] and values float32 [k, width], both on the storage device.
        """
        local = torch.arange(len(self.state.values), device=self.storage_device)[start:stop]
        values = self._read(local)
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

    def _read(self, local: torch.Tensor, **where: torch.Tensor) -> torch.Tensor:
        return read_rows(self.state, local, self.step, self.optimizer, self.world.num_threads, **where)


def _new_rows(num_rows: int, width: int, device: torch.device) -> torch.Tensor:
    """float32 [num_rows, width], any values. On the CPU from NumPy, which asks for huge pages where torch does not."""
    if device.type == "cpu":
        return torch.from_numpy(np.empty((num_rows, width), dtype=np.float32))
    return torch.empty((num_rows, width), device=device)


def _first_values(name: str, num_rows: int, parts: dict[str, TablePart], world: World, seed: int) -> torch.Tensor:
    """float32 [local rows, width] on the CPU. Every worker draws every block and keeps its own rows of it."""
    width = sum(part.width for part in parts.values())
    values = _new_rows(len(range(world.rank, num_rows, world.size)), width, torch.device("cpu"))

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
