"""Item content comes back row by row, whatever the shards."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from dualgnn_dist.data.store.columns import DenseColumn
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.schema import ModalityInfo
from tests.unit.data.store.small_store import PRESENT, VECTORS


def test_dense_features_are_widened_and_zero_where_missing(store: Store) -> None:
    rows = np.array([5, 2, 0, 6, 5], dtype=np.int32)
    feature = store.features("visual").gather(rows)
    assert feature.values.dtype == torch.float32 and feature.present.tolist() == [True, False, True, False, True]
    assert feature.offsets is None and feature.tokens is None
    np.testing.assert_array_equal(feature.values, np.where(PRESENT[rows, None], VECTORS[rows], 0).astype(np.float32))


def test_every_float16_is_widened_as_numpy_does() -> None:
    numbers = np.arange(1 << 16, dtype=np.uint16).view(np.float16)  # infinities, subnormals and no-numbers among them
    shards = [pa.FixedSizeListArray.from_arrays(pa.array(part), 8) for part in np.split(numbers, [8 * 5000])]
    column = DenseColumn(ModalityInfo(kind="dense", dimension=8, dtype="float16", num_present=8192), 5000, shards)
    rows = np.random.default_rng(0).permutation(8192)
    feature = column.gather(rows)
    np.testing.assert_array_equal(feature.values, numbers.reshape(-1, 8)[rows].astype(np.float32))
    assert feature.present.all()
    for row in (-1, 8192):
        with pytest.raises(AssertionError, match="rows beyond the column"):
            column.gather(np.array([0, row]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_bfloat16_features_are_rounded_as_torch_does(dtype: type) -> None:
    generator = np.random.default_rng(0)
    bits = {np.float16: np.uint16, np.float32: np.uint32}[dtype]
    numbers = generator.integers(0, np.iinfo(bits).max, 8 * 4096, dtype=bits, endpoint=True).view(dtype)
    numbers[:8] = [0.0, -0.0, 1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 - 2.0**-8, 2.0**-14, 65504, 2.0**-24]  # ties to even
    numbers[~np.isfinite(numbers)] = 1  # `prepare` refuses them
    info = ModalityInfo(kind="dense", dimension=8, dtype=np.dtype(dtype).name, num_present=4096)
    column = DenseColumn(info, 4096, [pa.FixedSizeListArray.from_arrays(pa.array(numbers), 8)])
    feature = column.gather(np.arange(4096), as_bfloat16=True)
    expected = torch.from_numpy(numbers.reshape(-1, 8).astype(np.float32)).bfloat16()
    assert feature.values.dtype == torch.bfloat16 and feature.present.all()
    assert torch.equal(feature.values.view(torch.uint16), expected.view(torch.uint16))


def test_token_features_by_row(store: Store) -> None:
    rows = np.array([3, 1, 2, 0], dtype=np.int32)
    for as_bfloat16 in (False, True):
        feature = store.features("textual").gather(rows, as_bfloat16)
        assert feature.offsets.tolist() == [0, 3, 3, 3, 5] and feature.offsets.dtype == torch.int64
        assert feature.tokens.tolist() == [1, 2, 3, 4, 0] and feature.tokens.dtype == torch.int64
        assert feature.present.tolist() == [True, False, True, True] and feature.values is None
