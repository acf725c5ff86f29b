"""What is fused equals what autograd does pass by pass, values and gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from dualgnn_dist.models.fused import unit_vectors, with_first
from dualgnn_dist.models.layers import neighbor_sum, weighted
from dualgnn_dist.sampling.transpose import sparse_rows

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


@pytest.mark.parametrize("count", [0, 1, 3, 5])
@pytest.mark.parametrize(("reads_all", "reads_first"), [(True, True), (True, False), (False, True)])
def test_the_first_rows_and_all_rows(count: int, reads_all: bool, reads_first: bool) -> None:
    x = grown((5, 2), 1)
    weights = grown((5, 2), 2).detach()

    def loss(whole: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        return reads_all * (whole * weights).sum() + reads_first * (first.square() * weights[:count]).sum()

    whole, first = with_first(x, count)
    assert torch.equal(whole, x) and torch.equal(first, x[:count])
    (found,) = torch.autograd.grad(loss(whole, first), x)
    (expected,) = torch.autograd.grad(loss(x, x[:count]), x)
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
