"""What is fused equals what autograd does pass by pass, values and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from dualgnn_dist.base.sparse import sparse_rows
from dualgnn_dist.base.table_part import Normal, TablePart
from dualgnn_dist.models.neighbor_sum import neighbor_sum, neighbor_sum_and_first, weighted
from dualgnn_dist.models.split_rows import split_rows
from dualgnn_dist.models.unit_vectors import unit_vectors

seeds = st.integers(0, 2**31)


def grown(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@settings(max_examples=40, deadline=None)
@given(n=st.integers(0, 6), num_parts=st.integers(1, 3), width=st.integers(1, 5), seed=seeds, masked=st.booleans())
def test_unit_vectors_equal_the_normalised_parts(n: int, num_parts: int, width: int, seed: int, masked: bool) -> None:
    parts = [grown((n, width), seed + k) for k in range(num_parts)]
    present = torch.rand(n, num_parts, generator=torch.Generator().manual_seed(seed)) < 0.7 if masked else None
    direction = grown((n, num_parts * width), seed + 9).detach()
    expected = [functional.normalize(part) for part in parts]
    if present is not None:
        expected = [part * present[:, k, None] for k, part in enumerate(expected)]
    found = unit_vectors(parts, present)
    torch.testing.assert_close(found, torch.cat(expected, 1))
    ours = torch.autograd.grad(found, parts, direction)
    torch.testing.assert_close(ours, torch.autograd.grad(torch.cat(expected, 1), parts, direction))


def test_the_zero_vector_stays_zero_and_its_gradient_is_finite() -> None:
    zero = torch.zeros(2, 3, requires_grad=True)
    found = unit_vectors([zero])
    assert not found.any()
    found.sum().backward()
    assert zero.grad is not None and zero.grad.isfinite().all()


def test_half_precision_becomes_float32() -> None:
    part = torch.randn(4, 8).bfloat16().requires_grad_()
    found = unit_vectors([part])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4))
    found.sum().backward()
    assert part.grad is not None and part.grad.dtype == torch.bfloat16


@settings(max_examples=40, deadline=None)
@given(n=st.integers(0, 6), num_parts=st.integers(1, 3), width=st.integers(1, 20), seed=seeds)
def test_the_kernels_equal_the_operations(n: int, num_parts: int, width: int, seed: int) -> None:
    """On columns of a wider matrix, as table rows are, and with a row of zeros."""
    rows = grown((n, num_parts * width + 1), seed).detach()
    rows[:1] = 0.0
    direction = grown((n, num_parts * width), seed + 1).detach()

    def values_and_gradient(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = rows.to(dtype, copy=True).requires_grad_()
        found = unit_vectors(leaf[:, 1:].split(width, dim=1))
        return found, torch.autograd.grad(found, leaf, direction.to(dtype))[0]

    torch.testing.assert_close(
        values_and_gradient(torch.float32), values_and_gradient(torch.float64), check_dtype=False
    )


@pytest.mark.parametrize("count", [0, 1, 3, 5])
@pytest.mark.parametrize(("reads_all", "reads_first"), [(True, True), (True, False), (False, True)])
def test_the_parts_of_all_rows_and_of_the_first(count: int, reads_all: bool, reads_first: bool) -> None:
    x, weights = grown((5, 5), 1), grown((5, 5), 2).detach()
    parts = {"wide": TablePart(3, Normal(1.0)), "narrow": TablePart(2, Normal(1.0))}

    def loss(whole: dict[str, torch.Tensor], first: dict[str, torch.Tensor]) -> torch.Tensor:
        of_whole = (whole["wide"] * weights[:, :3]).sum()  # nobody reads the narrow part of all rows
        of_first = (torch.cat(list(first.values()), 1).square() * weights[:count]).sum()
        return reads_all * of_whole + reads_first * of_first

    whole, first = split_rows(x, parts, count)
    plain = {"wide": x[:, :3], "narrow": x[:, 3:]}
    for name in parts:
        assert torch.equal(whole[name], plain[name]) and torch.equal(first[name], plain[name][:count])
    (found,) = torch.autograd.grad(loss(whole, first), x)
    (expected,) = torch.autograd.grad(loss(plain, {name: values[:count] for name, values in plain.items()}), x)
    torch.testing.assert_close(found, expected)


def test_no_rows_have_no_parts() -> None:
    assert split_rows(None, {}, 3) == ({}, {})


@pytest.mark.parametrize(("reads_sum", "reads_first"), [(True, True), (True, False), (False, True)])
def test_a_sum_and_the_first_rows(reads_sum: bool, reads_first: bool) -> None:
    rows = sparse_rows(np.array([0, 2, 3], np.int32), np.array([0, 4, 1], np.int32), 5)
    dense = torch.zeros(2, 5, dtype=torch.float64)
    dense[0, 0] = dense[0, 4] = dense[1, 1] = 1.0
    x = grown((5, 2), 1)

    def loss(total: torch.Tensor, near: torch.Tensor, nearer: torch.Tensor) -> torch.Tensor:
        return reads_sum * total.square().sum() + reads_first * (near.pow(3).sum() + nearer.square().sum())

    (found,) = torch.autograd.grad(loss(*neighbor_sum_and_first(rows, x, 3, 1)), x)
    (expected,) = torch.autograd.grad(loss(dense @ x, x[:3], x[:1]), x)
    torch.testing.assert_close(found, expected)


@settings(max_examples=40, deadline=None)
@given(num_targets=st.integers(1, 6), num_sources=st.integers(1, 6), seed=seeds)
def test_weighted_entries_equal_weighted_vectors(num_targets: int, num_sources: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    edges = torch.rand(num_targets, num_sources, generator=generator) < 0.5
    offsets = torch.cat([torch.zeros(1, dtype=torch.int32), edges.sum(1).cumsum(0).int()])
    rows = sparse_rows(offsets.numpy(), edges.nonzero()[:, 1].int().numpy(), num_sources)
    x, source, target = (
        grown(shape, seed + k) for k, shape in enumerate([(num_sources, 3), (num_sources,), (num_targets,)])
    )
    direction = grown((num_targets, 3), seed + 5).detach()
    found = neighbor_sum(weighted(rows, source.detach(), target.detach()), x)
    expected = edges.double() @ (x * source.detach()[:, None]) * target.detach()[:, None]
    torch.testing.assert_close(found, expected)
    (ours,) = torch.autograd.grad(found, x, direction)
    torch.testing.assert_close(ours, torch.autograd.grad(expected, x, direction)[0])
