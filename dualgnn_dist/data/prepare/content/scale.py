"""How large the columns of a modality are: one that is far larger than the others is all that a model sees of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

REFUSED = 1e18  # beyond it squares leave float32, and with them norms, gradients and moments
LARGE = 1e6  # float32 resolves 1e-7: beside such a column, one of 1 is rounding
CURE = "set prepare.standardize to true, which brings every column to mean 0 and deviation 1, or rescale the file"


@dataclass(frozen=True)
class Scales:
    """Of every column, over the items that have the modality; float64 [D].

    Args:
        largest: the largest absolute value.
        mean, deviation: of the values over `largest`, so that no square overflows.
    """

    largest: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, present: np.ndarray, block_rows: int) -> Scales:
        """Goes through `values` [I, D] block by block: for the largest, the mean, and the deviation from it."""
        num_present = max(np.count_nonzero(present), 1)
        largest = largest_of(values, present, block_rows)
        unit = np.where(largest > 0, largest, 1.0)
        sums, squares = np.zeros_like(largest), np.zeros_like(largest)
        for block in _blocks(values, present, block_rows):
            sums += (block / unit).sum(axis=0)
        mean = sums / num_present
        for block in _blocks(values, present, block_rows):
            squares += np.square(block / unit - mean).sum(axis=0)
        return cls(largest, mean, np.sqrt(squares / num_present))

    def standardized(self, values: np.ndarray) -> np.ndarray:
        """Values [n, D] with mean 0 and deviation 1 in every column; 0 where a column is constant."""
        unit = np.where(self.largest > 0, self.largest, 1.0)
        is_constant = self.deviation < 1e-12  # what is left of one are roundings
        return np.where(is_constant, 0.0, (values / unit - self.mean) / np.where(is_constant, 1.0, self.deviation))


def largest_of(values: np.ndarray, present: np.ndarray, block_rows: int) -> np.ndarray:
    """float64 [D], the largest absolute value of every column."""
    largest = np.zeros(values.shape[1])
    for block in _blocks(values, present, block_rows):
        largest = np.maximum(largest, np.abs(block).max(axis=0, initial=0.0))
    return largest


def warning(largest: np.ndarray) -> str | None:
    """The column that drowns the others, in words; None where there is none."""
    column = int(np.argmax(largest))
    most, median = largest[column], float(np.median(largest))
    if most <= LARGE and (median == 0 or most <= LARGE * median):
        return None
    return f"column {column} reaches {most:.3g}, the median column {median:.3g}, and drowns the others; {CURE}"


def _blocks(values: np.ndarray, present: np.ndarray, block_rows: int) -> Iterator[np.ndarray]:
    for start in range(0, len(values), block_rows):
        part = slice(start, start + block_rows)
        yield values[part][present[part]].astype(np.float64, copy=False)
