"""The statistics of a comparison, as by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dualgnn_dist.results.compare.paired_tests import holm, measure, paired


def test_the_tests_are_those_of_scipy_on_the_users_means() -> None:
    generator = np.random.default_rng(3)
    first, second = generator.random((3, 80)), generator.random((2, 80)) + 0.1
    found = measure({"first": list(first), "second": list(second)}, "first")
    means, others = first.mean(0), second.mean(0)
    student, signed = stats.ttest_rel(others, means), stats.wilcoxon(others, means)
    against = found["second"].against
    assert against is not None and found["first"].against is None
    assert against.p_t == pytest.approx(student.pvalue, rel=1e-6) and against.p_t < 0.2
    assert against.p_wilcoxon == pytest.approx(signed.pvalue, rel=1e-6)
    assert against.difference == pytest.approx(np.mean(others - means))
    margin = stats.t.ppf(0.975, 79) * np.std(others - means, ddof=1) / np.sqrt(80)
    assert (against.low, against.high) == pytest.approx((against.difference - margin, against.difference + margin))
    assert found["first"].seeds == pytest.approx(first.mean(1))
    assert found["first"].deviation == pytest.approx(np.std(first.mean(1), ddof=1))
    assert found["second"].p_t_holm == against.p_t, "one comparison needs no correction"


def test_one_seed_has_no_deviation() -> None:
    found = measure({"a": [np.array([0.0, 1.0])], "b": [np.array([1.0, 1.0])]}, "a")
    assert found["a"].deviation is None and found["a"].mean == 0.5


@pytest.mark.parametrize(
    ("p", "corrected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 3 x .01; 2 x .03; .04 is not below its predecessor's .06
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.2], [0.2]),
        ([], []),
    ],
)
def test_holm_by_hand(p: list[float], corrected: list[float]) -> None:
    assert holm(p) == pytest.approx(corrected)


def test_p_is_corrected_over_the_rows() -> None:
    generator = np.random.default_rng(1)
    values = {label: [generator.random(50) + shift] for label, shift in (("a", 0), ("b", 0.08), ("c", 0.1), ("d", 0.3))}
    found = measure(values, "a")
    raw = [found[label].against.p_t for label in "bcd"]  # type: ignore[union-attr]
    assert [found[label].p_t_holm for label in "bcd"] == pytest.approx(holm(raw))
    assert found["d"].p_t_holm == pytest.approx(3 * min(raw))
    assert found["a"].p_t_holm is None


def test_what_is_equal_but_for_rounding_does_not_differ() -> None:
    values = np.array([0.1, 0.2, 0.7, 0.3])
    same = measure({"one": [values], "three": [values, values, values]}, "one")["three"].against
    assert same is not None and (same.difference, same.p_t, same.p_wilcoxon) == (0.0, 1.0, 1.0)
    assert paired(np.zeros(5)).p_wilcoxon == 1.0
    assert paired(np.full(30, 0.5)).p_t == 0.0  # t is infinite
