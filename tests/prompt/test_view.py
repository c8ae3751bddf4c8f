from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sesami.prompt import View, Views


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_view_lies_in_the_plane_and_holds_what_was_given(data: st.DataObject):
    shape = (data.draw(st.integers(1, 3000)), data.draw(st.integers(1, 3000)))
    y0, x0 = (data.draw(st.integers(0, n - 1)) for n in shape)
    y1, x1 = (
        data.draw(st.integers(y0 + 1, shape[0])),
        data.draw(st.integers(x0 + 1, shape[1])),
    )
    anchor = (data.draw(st.integers(y0, y1 - 1)), data.draw(st.integers(x0, x1 - 1)))
    tile = data.draw(st.sampled_from([64, 128, 1024]))
    view = Views(shape, tile, data.draw(st.booleans())).around(anchor, (y0, x0, y1, x1))
    top, left, bottom, right = view.box
    assert 0 <= top <= y0 and 0 <= left <= x0
    assert y1 <= bottom <= shape[0] and x1 <= right <= shape[1]
    assert max(view.size) <= tile


def test_clicks_near_each_other_share_a_view():
    views = Views((4096, 4096), 1024)
    assert views.at((1000, 1000)) == views.at((1100, 930))
    inner = {views.at((y, x)) for y in range(0, 4096, 64) for x in range(0, 4096, 64)}
    assert len(inner) == 49
    for view in inner:
        assert view.box[2] - view.box[0] == 1024


def test_small_images_are_enlarged_for_models_that_want_it():
    assert Views((8, 8), 256).whole.size == (64, 64)
    assert Views((300, 200), 1024, magnify=True).whole.grow == 3
    assert Views((300, 200), 1024, magnify=False).whole.grow == 1


def test_coordinates_go_to_view_pixels_and_cells():
    shrunk = View((100, 200, 500, 600), shrink=4)
    np.testing.assert_allclose(shrunk.to_view([(100, 200)]), [(-0.375, -0.375)])
    np.testing.assert_allclose(shrunk.to_view([(101.5, 201.5)]), [(0, 0)])
    np.testing.assert_array_equal(
        shrunk.to_cells([(100, 200), (116, 215)]), [(0, 0), (1, 0)]
    )
    grown = View((0, 0, 10, 10), grow=8)
    np.testing.assert_allclose(grown.to_view([(0, 0)]), [(3.5, 3.5)])
    np.testing.assert_allclose(grown.box_to_view((0, 0, 10, 5)), (0, 0, 80, 40))
