"""Axes: from values to places between 0 and 1, with ticks that people can read."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

_DECADES = 2  # values that span more are shown on a logarithmic axis
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"))
_SMALLEST, _LARGEST = 1e-100, 1e100  # beyond: drawn as 0 and as this; nothing that is plotted here comes near them

Kind = Literal["linear", "log", "categories"]


@dataclass(frozen=True)
class Axis:
    """A range of values and its ticks.

    Args:
        low, high: the ends, low < high; their logarithms on a logarithmic axis.
        ticks: values, ascending, between the ends.
        labels: one a tick.
    """

    kind: Kind
    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]

    def place(self, value: float) -> float:
        """Where a value lies between the ends: 0 is the low one, 1 the high one."""
        shown = math.log10(max(value, sys.float_info.min)) if self.kind == "log" else _clipped(value)
        return min(max((shown - self.low) / (self.high - self.low), 0.0), 1.0)


def axis_of(values: Iterable[float], integers: bool = False, count: int = 5) -> Axis:
    """The axis for these values: logarithmic where all are positive and span more than two decades.

    Args:
        integers: no ticks between whole numbers.
        count: about so many ticks.
    """
    finite = [_clipped(float(value)) for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if low > 0 and math.log10(high) - math.log10(low) > _DECADES and not integers:
        return _log_axis(low, high, count)
    return _linear_axis(low, high, integers, count)


def category_axis(names: Sequence[str]) -> Axis:
    """An axis with a place for each name, at 0, 1, 2, ..."""
    return Axis("categories", -0.5, max(len(names), 1) - 0.5, tuple(map(float, range(len(names)))), tuple(names))


def number(value: float | None) -> str:
    """A value for people: four significant digits, thousands apart, `-` for none."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else _short_exponent(f"{value:.4g}")


def _linear_axis(low: float, high: float, integers: bool, count: int) -> Axis:
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # one value: it goes into the middle
        around = max(abs(low) * 0.1, 1.0 if integers or low == 0 else 0.0)
        low, high = low - around, high + around
    else:
        margin = (high - low) * 0.04
        low, high = low - margin, high + margin
    step = _nice_step((high - low) / count)
    if integers:
        step = max(1.0, round(step))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = [place * step for place in range(first, last + 1)]
    return Axis("linear", low, high, tuple(ticks), _tick_labels(ticks, step))


def _log_axis(low: float, high: float, count: int) -> Axis:
    margin = (math.log10(high) - math.log10(low)) * 0.04
    low, high = math.log10(low) - margin, math.log10(high) + margin
    every = max(1, math.ceil((high - low) / (count + 1)))
    powers = range(math.ceil(low), math.floor(high) + 1, every)
    labels = (number(10.0**power) if -3 <= power <= 5 else f"1e{power}" for power in powers)
    return Axis("log", low, high, tuple(10.0**power for power in powers), tuple(labels))


def _nice_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return next(nice * power for nice in _NICE if nice * power >= raw * (1 - 1e-9))


def _tick_labels(ticks: Sequence[float], step: float) -> tuple[str, ...]:
    largest = max(map(abs, ticks), default=0.0)
    if largest >= 1e15 or step < 1e-5:
        digits = max(0, math.ceil(math.log10(max(largest / step, 1.0))))
        return tuple(_short_exponent(f"{tick:.{digits}e}") if tick else "0" for tick in ticks)
    scale, suffix = next(((size, name) for size, name in _SUFFIXES if largest >= size), (1.0, ""))
    decimals = next(d for d in range(20) if abs(round(step / scale, d) - step / scale) <= 1e-6 * step / scale)
    return tuple(f"{tick / scale + 0.0:,.{decimals}f}{suffix if tick else ''}" for tick in ticks)


def _short_exponent(text: str) -> str:
    digits, has_exponent, exponent = text.partition("e")
    return f"{digits}e{int(exponent)}" if has_exponent else text


def _clipped(value: float) -> float:
    return 0.0 if abs(value) < _SMALLEST else min(max(value, -_LARGEST), _LARGEST)
