"""Columns out of all scale: refused, named, or standardised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.content.scale import Scales
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.stores import every

Make = Callable[..., Store]
NUM_ITEMS = 40


@pytest.fixture
def section(folder: Path) -> dict[str, Any]:
    """A table of every pair, and the modality `v` in `v.npy`, which the tests write."""
    (folder / "log.csv").write_text("user,item\n" + "".join(f"{u},{i}\n" for u in range(9) for i in range(NUM_ITEMS)))
    return {"format": "table", "input": str(folder / "log.csv"), "split": "random", "modalities": {"v": "v.npy"}}


def features(folder: Path, dtype: str, column: int | None = None, value: float = 1.0) -> np.ndarray:
    values = np.random.default_rng(2).normal(3, 2, (NUM_ITEMS, 5)).astype(dtype)
    if column is not None:
        values[7, column] = value
    np.save(folder / "v.npy", values)
    return values


@pytest.mark.parametrize("value", [1e20, -1e38, 2e18])
def test_what_no_model_can_train_on_is_refused(folder: Path, make: Make, section: Any, value: float) -> None:
    features(folder, "float64", 2, value)
    with pytest.raises(
        UserError, match=r"v\.npy, row 7: column 2 holds -?\de\+\d+, beyond 1e\+18 .* prepare\.standard"
    ):
        make(**section)
    assert not (folder.parent / "store").exists()
    values = np.asarray(every(make(**section, standardize=True), "v").values)
    assert np.isfinite(values).all() and np.abs(values).max() < NUM_ITEMS


@pytest.mark.parametrize(("value", "is_said"), [(3e6, True), (-1e17, True), (9e5, False), (2.0, False)])
def test_a_column_that_drowns_the_others_is_named(
    folder: Path, make: Make, section: Any, value: float, is_said: bool
) -> None:
    features(folder, "float32", 4, value)
    lines: list[str] = []
    make(lines, **section)
    assert any("v.npy: column 4 reaches" in line and "drowns the others" in line for line in lines) == is_said


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_standardised_columns_have_mean_0_and_deviation_1(folder: Path, make: Make, section: Any, dtype: str) -> None:
    values = features(folder, dtype).astype(np.float64)
    values[:, 1] = 5  # constant
    values[:, 3] += 1e4 if dtype == "float16" else 1.6e9 if dtype == "float64" else 1e6
    np.save(folder / "v.npy", values.astype(dtype))
    values = np.load(folder / "v.npy").astype(np.float64)
    store = make(**section, standardize=True, rows_per_shard=7)
    deviation = np.where(values.std(axis=0) > 0, values.std(axis=0), 1)
    expected = (values - values.mean(axis=0)) / deviation
    np.testing.assert_allclose(every(store, "v").values, expected, atol=2e-3 if dtype == "float16" else 1e-6)
    assert (every(store, "v").values[:, 1] == 0).all()


def test_blocks_and_missing_items_do_not_matter() -> None:
    generator = np.random.default_rng(1)
    values, present = generator.normal(size=(50, 3)) * [1, 1e300, 1e-300], generator.random(50) < 0.7
    values[~present] = 1e308
    whole, blocks = Scales.of(values, present, 1000), Scales.of(values, present, 7)
    for name in ("largest", "mean", "deviation"):
        np.testing.assert_allclose(getattr(whole, name), getattr(blocks, name), rtol=1e-12)
    standard = whole.standardized(values[present])
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(standard.std(axis=0), 1, rtol=1e-12)
