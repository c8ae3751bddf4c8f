from __future__ import annotations

import numpy as np
import pytest

from napari_sesami.session import Session


@pytest.fixture
def session() -> Session:
    """A stack of 3 planes of 30 × 40 pixels with the classes oxide and void."""
    s = Session(np.zeros((3, 30, 40), np.uint8))
    s.classes.add("oxide")
    s.classes.add("void")
    return s
