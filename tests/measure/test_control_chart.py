"""Charts and gauge studies on series made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.measure import chart_of, ewma, gauge_study, western_electric


@pytest.mark.parametrize(
    ("values", "alarms"),
    [
        ([0, 0.5, -0.5, 3.2], {3: (1,)}),
        ([0, 2.1, 0.3, 2.2], {3: (2,)}),
        ([0, 2.1, 0.3, -2.2], {}),
        ([1.1, 1.2, 0.2, 1.3, 1.4], {4: (3,)}),
        ([0.1] * 8, {7: (4,)}),
        ([0.1] * 7 + [-0.1], {}),
        ([-3.5], {0: (1,)}),
    ],
)
def test_western_electric_rules(values, alarms):
    assert western_electric(np.array(values), 0.0, 1.0) == alarms


def test_limits_come_from_moving_ranges():
    chart = chart_of([10, 12, 10, 12, 10])
    assert chart.centre == pytest.approx(10.8)
    assert chart.sigma == pytest.approx(2 / 1.128)
    assert chart.preliminary
    assert not chart_of([1.0, 2.0] * 10).preliminary
    assert chart_of([5.0], given=(1.0, 0.5)).alarms == {0: (1,)}


def test_ewma_follows_slowly():
    mean, width = ewma([1, 1, 1], 0.0, 1.0, 0.5)
    assert mean.tolist() == [0.5, 0.75, 0.875]
    assert width == pytest.approx(3 * np.sqrt([1 / 4, 5 / 16, 21 / 64]))


def test_a_gauge_study_splits_the_spread():
    # two repeats of three parts by two people, differences of 0.2, a person 0.4 higher
    values, parts, people = [], [], []
    for person, shift in (("a", 0.0), ("b", 0.4)):
        for part, size in (("p", 10.0), ("q", 12.0), ("r", 14.0)):
            for repeat in (-0.1, 0.1):
                values.append(size + shift + repeat)
                parts.append(part)
                people.append(person)
    study = gauge_study(values, parts, people, tolerance=12.0)
    assert study.ev == pytest.approx(np.sqrt(0.02))
    assert study.av == pytest.approx(np.sqrt(0.08 - 0.02 / 6))
    assert study.pv == pytest.approx(np.sqrt(4 - 0.02 / 4))
    assert study.grr == pytest.approx(np.hypot(study.ev, study.av))
    assert study.precision_to_tolerance == pytest.approx(6 * study.grr / 12)
    assert study.categories == int(1.41 * study.pv / study.grr)
    assert (study.repeats, study.parts, study.appraisers) == (2, 3, 2)
