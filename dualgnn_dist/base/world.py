"""Who am I: rank, number of workers and device, asked once and passed on as one argument.

Every collective of the program goes through these methods; with one worker they are the identity, so the code above
them has a single path. Counts and sums travel, means are taken once at the end. Who waits in one says so to
who watches.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.distributed as dist

from dualgnn_dist.base.liveness import heartbeat


@dataclass(frozen=True)
class World:
    """This worker's place. `size == 1` needs no process group.

    Args:
        num_threads: CPU threads that this worker may use.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    num_threads: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this worker writes what is written once."""
        return self.rank == 0

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The elementwise sum over workers, in place, on every worker."""
        if self.size > 1:
            with heartbeat.waiting():
                dist.all_reduce(tensor)
        return tensor

    def gather_rows(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """Every worker's [n_r, ...] tensor, by rank; the n_r may differ."""
        if self.size == 1:
            return [tensor]
        lengths = [torch.zeros(1, dtype=torch.int64, device=tensor.device) for _ in range(self.size)]
        with heartbeat.waiting():
            dist.all_gather(lengths, torch.tensor([len(tensor)], device=tensor.device))
        longest = max(int(length) for length in lengths)
        padded = tensor.new_zeros((longest, *tensor.shape[1:]))
        padded[: len(tensor)] = tensor
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        with heartbeat.waiting():
            dist.all_gather(parts, padded)
        return [part[: int(length)] for part, length in zip(parts, lengths, strict=True)]

    def gather_texts(self, text: str) -> list[str]:
        """Every worker's text, by rank."""
        if self.size == 1:
            return [text]
        sent = torch.frombuffer(bytearray(text.encode() + b"\n"), dtype=torch.uint8)  # never empty
        return [part.cpu().numpy().tobytes()[:-1].decode() for part in self.gather_rows(sent.to(self.device))]

    def exchange(
        self, tensor: torch.Tensor, send: list[int], receive: list[int], out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """All-to-all of rows: `send[r]` consecutive rows go to worker r, `receive[r]` come from it, in rank order.

        Args:
            out: contiguous memory for what comes; new memory by default.
        """
        if self.size == 1:
            return tensor
        received = tensor.new_empty((sum(receive), *tensor.shape[1:])) if out is None else out
        with heartbeat.waiting():
            dist.all_to_all_single(received, tensor.contiguous(), receive, send)
        return received

    def exchange_lengths(self, send: list[int]) -> list[int]:
        """How many rows each worker will send to this one, given how many this one sends to each."""
        if self.size == 1:
            return send
        received = torch.empty(self.size, dtype=torch.int64, device=self.device)
        with heartbeat.waiting():
            dist.all_to_all_single(received, torch.tensor(send, dtype=torch.int64, device=self.device))
        return received.tolist()

    def agree(self, flag: bool) -> bool:
        """True on every worker if it is true on any."""
        return bool(self.sum(torch.tensor([int(flag)], device=self.device)).item())

    def barrier(self) -> None:
        """Waits for every worker."""
        if self.size > 1:
            with heartbeat.waiting():
                dist.barrier()
