"""Where a run is: which validation is the best, when patience ends, and what a checkpoint hands on."""

from __future__ import annotations

import dataclasses
import math

import pytest

from dualgnn_dist.training.progress import Progress


def judged(*values: float) -> tuple[Progress, list[bool]]:
    """A run with one validation an epoch."""
    progress, verdicts = Progress(), []
    for value in values:
        progress.end_epoch(1.0, 0.25)
        verdicts.append(progress.judge({"recall@20": value, "epoch": progress.epoch}, "recall@20"))
    return progress, verdicts


@pytest.mark.parametrize(
    ("values", "best_epoch", "verdicts"),
    [
        ((0.1, 0.3, 0.2), 2, [True, True, False]),
        ((0.3, 0.3, 0.3), 1, [True, False, False]),  # the first of equals
        ((0.1, 0.3, 0.3, 0.2), 2, [True, True, False, False]),
        ((0.3, 0.3, 0.4), 3, [True, False, True]),
        ((0.0,), 1, [True]),  # as bad as can be is better than nothing
        ((math.nan, 0.1, math.nan), 2, [False, True, False]),
    ],
)
def test_the_first_of_equal_validations_is_the_best(
    values: tuple[float, ...], best_epoch: int, verdicts: list[bool]
) -> None:
    progress, said = judged(*values)
    assert said == verdicts
    assert (progress.best_epoch, progress.best) == (best_epoch, values[best_epoch - 1])
    assert progress.validation == {"recall@20": values[best_epoch - 1], "epoch": best_epoch}


@pytest.mark.parametrize(
    ("values", "count"), [((), 0), ((0.1,), 0), ((0.1, 0.1), 1), ((0.3, 0.2, 0.1), 2), ((0.3, 0.2, 0.4), 0)]
)
def test_patience_counts_validations_since_the_best(values: tuple[float, ...], count: int) -> None:
    progress, _ = judged(*values)
    assert progress.evaluations_since_best == count
    for patience in (1, 2, 3):
        assert progress.is_out_of_patience(patience) == (count >= patience)
    assert not progress.is_out_of_patience(None)


def test_an_epoch_that_ends_leaves_nothing_to_the_next() -> None:
    progress = Progress(epoch=3, step=7, loss_sum=2.5, loss_count=9)
    progress.end_epoch(4.0, 1.5)
    progress.end_epoch(1.0, 0.5)
    assert (progress.epoch, progress.step, progress.loss_sum, progress.loss_count) == (5, 0, 0.0, 0)
    assert progress.seconds == {"training": 5.0, "waiting": 2.0, "inference": 0.0, "ranking": 0.0}


def test_what_a_checkpoint_says_is_taken_over_whole() -> None:
    saved = dataclasses.asdict(
        Progress(4, 2, 0.5, 3, 1, 1.25, 77, {"recall@20": 0.5}, {"training": 9.0, "waiting": 1.0, "inference": 2.0})
    )
    progress = Progress()
    seconds = progress.seconds
    progress.load(saved)
    assert progress.seconds is seconds, "who measures a stage adds to this very mapping"
    assert dataclasses.asdict(progress) == {**saved, "seconds": {**saved["seconds"], "ranking": 0.0}}
