"""Error budgets: what adds, what a mean shrinks, how a value is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sesami.measure import ErrorBudget, coverage_factor, stated

sizes = st.floats(1e-6, 1e3)


@given(st.lists(sizes, min_size=2, max_size=30), sizes)
def test_a_mean_shrinks_edges_and_keeps_the_scale(edges, scale):
    mean = ErrorBudget.mean(ErrorBudget.of(edge=u, scale=scale) for u in edges)
    n = len(edges)
    assert mean.u("edge") == pytest.approx(np.sqrt(np.sum(np.square(edges))) / n)
    assert mean.u("scale") == pytest.approx(scale)


@given(sizes, sizes, sizes)
def test_terms_add_in_squares_and_scale_with_the_value(a, b, factor):
    both = ErrorBudget.of(edge=a) + ErrorBudget.of(edge=b, model=a)
    assert both.standard == pytest.approx(np.sqrt(2 * a * a + b * b))
    assert both.scaled(-factor).standard == pytest.approx(factor * both.standard)
    assert both.expanded >= 0


def test_degrees_of_freedom_follow_welch_and_satterthwaite():
    budget = ErrorBudget.of(edge=(3.0, 5.0), model=4.0)
    assert budget.standard == 5.0
    assert budget.dof == pytest.approx(5**4 / (3**4 / 5), rel=1e-4)
    assert coverage_factor(9) == pytest.approx(2.262, abs=1e-3)
    assert coverage_factor(1e6) == 2.0


def test_a_common_scale_error_keeps_its_size_in_a_mean():
    """Dividing everything by √n would hold the truth in 36 % of cases."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(600):
        error = rng.normal(0, 0.01)
        values = 20 * (1 + error) + rng.normal(0, 0.3, 20)
        mean = ErrorBudget.mean(ErrorBudget.of(edge=0.3, scale=0.2) for _ in values)
        held += abs(values.mean() - 20) <= mean.expanded
    assert 0.92 <= held / 600 <= 0.98


@pytest.mark.parametrize(
    ("value", "bar", "unit", "text"),
    [
        (17.3214, 0.2083, "nm", "17.32 ± 0.21 nm (k = 2)"),
        (1.62, 0.0418, "nm", "1.620 ± 0.042 nm (k = 2)"),
        (1234.6, 31.4, "nm", "1235 ± 31 nm (k = 2)"),
        (0.5, 0.0996, "", "0.50 ± 0.10 (k = 2)"),
        (3.2, float("nan"), "px", "3.2 px"),
    ],
)
def test_values_are_written_to_two_digits_of_their_bar(value, bar, unit, text):
    assert stated(value, bar, unit) == text
