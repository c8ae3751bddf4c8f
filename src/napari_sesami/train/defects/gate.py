"""Held-out lots decide: a tuned encoder is used only if it answers more of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.classify import (
    FeatureCache,
    Scaling,
    Space,
    features_of,
    fit_model,
    held_out_groups,
    share_text,
)
from napari_sesami.common.cancel import check_cancelled
from napari_sesami.common.disk import write_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sesami.classify import Lot
    from napari_sesami.models import TokenEncoder

FILE = "gate.json"


@dataclass(frozen=True)
class EncoderScore:
    """What heads on an encoder say of defects whose lots they never saw.

    Attributes
    ----------
    right, of
        Held-out defects answered right, of how many.
    loss
        Mean of -log p of the true class, with the temperature of the heads.
    """

    right: int
    of: int
    loss: float


@dataclass(frozen=True)
class EncoderVerdict:
    """Whether a tuned encoder takes the place of the frozen one.

    Attributes
    ----------
    wins
        More is right on the held-out defects, and said no less surely.
    sentence
        Why, for people.
    before, after
        With the frozen encoder and with the tuned one.
    """

    wins: bool
    sentence: str
    before: EncoderScore
    after: EncoderScore

    def write(self, folder: Path) -> None:
        """Write it into the folder of a run."""
        write_json(folder / FILE, asdict(self))


def judge_encoder(
    lot: Lot,
    names: Sequence[str],
    held: NDArray[np.bool_],
    frozen: TokenEncoder,
    tuned: TokenEncoder,
) -> EncoderVerdict:
    """Fit the same heads on both encoders' features, and ask the held-out defects.

    Parameters
    ----------
    lot
        All its defects are labelled.
    names
        Of the classes.
    held
        Who judges; the others are learnt from.
    frozen, tuned
        The encoder that was begun with, and what became of it.
    """
    with FeatureCache() as cache:
        before = _score(lot, names, held, frozen, cache)
    after = _score(lot, names, held, tuned, None)
    wins = after.right > before.right and after.loss <= before.loss
    told = (
        f"{share_text(after.right, after.of)} right on held-out defects, "
        f"{share_text(before.right, before.of)} before."
    )
    if wins:
        sentence = f"The tuned encoder is better: {told}"
    elif after.right > before.right:
        sentence = f"The frozen encoder stays, which is surer where it is right: {told}"
    else:
        sentence = f"The frozen encoder stays: {told}"
    return EncoderVerdict(wins, sentence, before, after)


def _score(
    lot: Lot,
    names: Sequence[str],
    held: NDArray[np.bool_],
    encoder: TokenEncoder,
    cache: FeatureCache | None,
) -> EncoderScore:
    views = features_of(
        lot.defects, encoder, cache=cache, progress=lambda *_: check_cancelled()
    ).views
    labels = np.array([names.index(str(d.label)) for d in lot.defects])
    rows = np.flatnonzero(~held)
    first = "high" if "high" in views else next(iter(views))
    space = Space.of(first, views[first][rows])
    scalings = {v: Scaling.of(x[rows], v) for v, x in views.items()}
    groups = held_out_groups(lot.defects, rows, labels[rows], space.places(views))
    model = fit_model(views, scalings, space, rows, labels[rows], names, groups)
    table = model.probabilities({v: x[held] for v, x in views.items()})
    truth = labels[held]
    good = np.isfinite(table).all(1)
    table, truth = table[good], truth[good]
    own = table[np.arange(len(truth)), truth]
    return EncoderScore(
        int((table.argmax(1) == truth).sum()), len(truth),
        float(-np.log(own + 1e-9).mean()),
    )  # fmt: skip
