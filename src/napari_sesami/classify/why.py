"""Where the features of a defect come from: the places unlike their surroundings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.classify.features import prepared, tokens_of
from napari_sesami.classify.picture import PictureReader
from napari_sesami.classify.pooling import unlikeness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sesami.classify.defect import Defect
    from napari_sesami.models import TokenEncoder


@dataclass(frozen=True, eq=False)
class DefectPlaces:
    """A picture as the encoder sees it, and how unlike each of its places is.

    Attributes
    ----------
    view
        "low" or "high".
    grey
        The picture, 0 to 1.
    unlike
        (rows, columns) of its tokens, 0 to 1; the strongest were pooled.
    """

    view: str
    grey: NDArray[np.float32]
    unlike: NDArray[np.float32]


def unlike_places(defect: Defect, encoder: TokenEncoder) -> list[DefectPlaces]:
    """Show for both magnifications what is unlike its surroundings, or its template.

    Raises
    ------
    ClassifyError
        A picture cannot be read.
    """
    found = []
    with PictureReader() as reader:
        template = None
        if defect.template is not None and defect.high is not None:
            template = tokens_of(encoder, prepared(reader.read(defect.template)))
        for view in ("low", "high"):
            picture = defect.picture(view)
            if picture is None:
                continue
            grey = prepared(reader.read(picture))
            tokens = tokens_of(encoder, grey)
            unlike = unlikeness(tokens, template if view == "high" else None)
            usual, most = float(np.median(unlike)), float(unlike.max())
            share = np.clip((unlike - usual) / (most - usual + 1e-9), 0, 1)
            found.append(DefectPlaces(view, grey, share.astype(np.float32)))
    return found
