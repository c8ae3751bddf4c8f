from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import correlate2d

from napari_sesami.common.correlation import correlate


@pytest.mark.parametrize("template", [(1, 1), (5, 8), (19, 23)])
def test_it_is_the_sum_over_channels_at_each_place_within(template):
    rng = np.random.default_rng(0)
    picture = rng.normal(size=(19, 23, 3))
    pattern = rng.normal(size=(*template, 3))
    each = [
        correlate2d(picture[..., d], pattern[..., d], mode="valid") for d in range(3)
    ]
    np.testing.assert_allclose(correlate(picture, pattern), sum(each), atol=1e-4)
