"""A run's curves for TensorBoard: readings by step, epochs by epoch, settings and test metrics under HPARAMS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from dualgnn_dist.training.listeners.telemetry import Listener, Reading, metric_of

_SAID_OTHERWISE = ("step", "interactions", "waiting_seconds")  # by the axis, and by rates


class TensorBoard(Listener):
    """Writes into one folder, from the first value on: a file without any would show as a run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: SummaryWriter | None = None

    @property
    def _board(self) -> SummaryWriter:
        self._open = self._open or SummaryWriter(str(self._folder))
        return self._open

    def hear(self, reading: Reading) -> None:
        """Writes a reading at its step: `<group>/<name>`; of counters what a step adds, on average."""
        means = {name: sum(values) / len(values) for name, values in reading.observations.items()}
        means |= {name: count / reading.num_steps for name, count in reading.counts.items()}
        for name, value in {**reading.gauges, **means}.items():
            if name not in _SAID_OTHERWISE:
                self._board.add_scalar(f"{metric_of(name)[0].group}/{name}", value, reading.step)
        self._board.flush()

    def hear_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Writes what came of an epoch."""
        for name, value in values.items():
            self._board.add_scalar(name, value, epoch)
        self._board.flush()

    def finish(self, settings: Mapping[str, Any], test: Mapping[str, float]) -> None:
        """Writes what decided the run, by dotted key, beside what came of it; `test` has been heard already."""
        shown = {key: value if isinstance(value, (bool, int, float)) else str(value) for key, value in settings.items()}
        writer = self._board.file_writer
        assert writer is not None
        for summary in hparams(shown, {f"test/{name}": value for name, value in test.items()}):
            writer.add_summary(summary)  # `add_hparams` would begin a file of its own

    def close(self) -> None:
        """Ends the file; nothing is lost of what was written."""
        if self._open is not None:
            self._open.close()
            self._open = None
