"""Simulated clicks on real objects, through the session, with the bundled model."""

from __future__ import annotations

import ast
import importlib
import re
from typing import TYPE_CHECKING, Any

import pytest

from napari_sesami import Scan, Session

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_sesami.prompt import Mask

pytestmark = pytest.mark.slow


class BySession:
    """What the protocol asks for: an image to start with, then clicks or a box."""

    def start(self, image: NDArray[np.float32]) -> None:
        self.session = Session(Scan.from_array(image))
        self.last: Mask | None = None

    def predict(
        self, points: list[Any], labels: list[int], box: Any
    ) -> NDArray[np.bool_]:
        if len(points) <= 1:  # the next object
            self.last = None
        self.last = self.session.prompt(
            points=[(float(y), float(x)) for y, x in points] or None,
            labels=labels or None,
            box=None if box is None else tuple(int(v) for v in box),
            mask=self.last,
        )
        return self.last.full


@pytest.fixture
def clicks(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The protocol, kept beside the checkout."""
    folder = shared_data.parent / "eval"
    if not (folder / "clicks.py").is_file():
        pytest.skip("needs the click protocol in shared/eval beside the checkout")
    monkeypatch.syspath_prepend(str(folder))
    return importlib.import_module("clicks")


def test_clicks_beat_the_random_walker_on_real_images(clicks, shared_data, capsys):
    clicks.run(BySession(), str(shared_data / "nasa_superalloy"), 2, 6)
    line = capsys.readouterr().out.strip()
    with capsys.disabled():
        print(f"\n{line}")
    found = re.match(r"\{.*?\}", line)
    assert found, line
    iou = ast.literal_eval(found.group())
    assert iou[1] > 0.48  # the random walker on all images of this set
    assert iou["box"] > 0.62
