"""Where a run is, beside its weights: what a checkpoint must say to go on as if nothing had happened."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dualgnn_dist.base.config import convert


@dataclass
class Progress:
    """Counted up by the trainer; saved with every checkpoint.

    Attributes:
        epoch, step: the next step to take; step 0 is the start of an epoch.
        best: the best validation metric so far, reached after `best_epoch` epochs.
        evaluations_since_best: counted for early stopping.
        loss_sum, loss_count: of this epoch so far.
        seconds: spent on each stage so far.
    """

    epoch: int = 0
    step: int = 0
    best: float = -math.inf
    best_epoch: int = 0
    evaluations_since_best: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    validation: dict[str, float] = dataclasses.field(default_factory=dict)
    seconds: dict[str, float] = dataclasses.field(
        default_factory=lambda: {"training": 0.0, "waiting": 0.0, "inference": 0.0, "ranking": 0.0}
    )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Progress:
        """What a checkpoint says.

        Raises:
            ValueError: it says something else.
        """
        try:
            progress = cls(**values)
        except TypeError as error:
            raise ValueError(str(error)) from None
        counts = ("epoch", "step", "best_epoch", "evaluations_since_best", "loss_count")
        for name in (*counts, "best", "loss_sum"):
            value = getattr(progress, name)
            if type(value) not in ((int,) if name in counts else (int, float)) or (name in counts and value < 0):
                raise ValueError(f"{name}={value!r} is no such number")
        for name in ("validation", "seconds"):
            convert(dict[str, float], getattr(progress, name), name)
        return progress

    def load(self, values: Mapping[str, Any]) -> None:
        """Goes on from what a checkpoint says."""
        loaded = Progress.of(values)
        self.seconds.update(loaded.seconds)  # in place: who measures a stage adds to this very mapping
        for name in values.keys() - {"seconds"}:
            setattr(self, name, getattr(loaded, name))

    def end_epoch(self, seconds: float, waited: float) -> None:
        """Goes to the start of the next epoch; `seconds` were spent on this one since it was begun or resumed."""
        self.seconds["training"] += seconds
        self.seconds["waiting"] += waited
        self.epoch, self.step = self.epoch + 1, 0
        self.loss_sum, self.loss_count = 0.0, 0

    def judge(self, validation: Mapping[str, float], metric: str) -> bool:
        """Whether this epoch's `validation` is the best so far by `metric`; remembers it if so."""
        self.evaluations_since_best += 1
        if not validation[metric] > self.best:
            return False
        self.best, self.best_epoch, self.evaluations_since_best = validation[metric], self.epoch, 0
        self.validation = dict(validation)
        return True

    def forget_best(self) -> None:
        """The best state is lost: the best of what follows is kept instead."""
        self.best, self.best_epoch, self.evaluations_since_best, self.validation = -math.inf, 0, 0, {}

    def is_out_of_patience(self, patience: int | None) -> bool:
        """Whether so many validations in a row were no better; None never ends."""
        return patience is not None and self.evaluations_since_best >= patience
