"""A model at work on another lot, without a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_sesami.classify.cache import FeatureCache
from napari_sesami.classify.decide import Decisions, decide
from napari_sesami.classify.encoders import load_encoder, unpacked
from napari_sesami.classify.errors import ClassifyError
from napari_sesami.classify.features import feature_key, features_of
from napari_sesami.classify.model import encoder_in, load_model
from napari_sesami.common.cancel import not_cancelled

if TYPE_CHECKING:
    import os

    from napari_sesami.classify.features import LotFeatures
    from napari_sesami.classify.lot import Lot
    from napari_sesami.classify.model import ModelCard
    from napari_sesami.common.cancel import IsCancelled, Progress
    from napari_sesami.models import TokenEncoder


def encoder_of(path: Path, card: ModelCard) -> str:
    """Name the encoder of a model: one in the catalog, or the one inside its file."""
    weights = encoder_in(path, card)
    return str(unpacked(weights)) if weights else card.encoder


def classify_lot(
    lot: Lot,
    model: str | os.PathLike[str],
    purity: float = 0.9,
    *,
    encoder: str | TokenEncoder | None = None,
    device: str = "auto",
    features: LotFeatures | None = None,
    cache: FeatureCache | None = None,
    keep_labels: bool = False,
    progress: Progress | None = None,
    stop: IsCancelled = not_cancelled,
) -> Decisions:
    """Decide a lot by a model that was trained before.

    Parameters
    ----------
    lot
        Any lot with pictures of the kind that the model has seen.
    model
        A file written by `Classifier.save`.
    purity
        Wished share of right ones among all that are called a class.
    encoder
        Instead of the one that the model names; it must have the same weights.
    device
        For an encoder that is given by name.
    features
        Of the lot, where they were computed already.
    cache
        Of features; None takes the user's.
    keep_labels
        Whether classes that the lot's file gives stand, instead of being decided anew.
    progress, stop
        Told after some defects; asked before.

    Raises
    ------
    ClassifyError
        The model is damaged, or was trained on features of another encoder.
    """
    if not 0 < purity < 1:
        raise ClassifyError(
            f"A purity of {purity:g} was wished; give a share between 0 and 1, such as "
            "0.95."
        )
    path = Path(model)
    trained, card = load_model(path)
    if features is None:
        used = encoder or encoder_of(path, card)
        if isinstance(used, str):
            used = load_encoder(used, device)
        if feature_key(used) != card.features:
            raise ClassifyError(
                f"{path.name} was trained on features of {card.encoder} with other "
                "weights, precision or version than here; train it again on this "
                "machine: sesami classify train."
            )
        features = features_of(
            lot.defects,
            used,
            cache=cache or FeatureCache(),
            progress=progress,
            stop=stop,
        )
    elif features.key != card.features:
        raise ClassifyError(f"{path.name} was trained on other features than these.")
    if trained.space.view not in features.views or not (
        trained.views.keys() & features.views.keys()
    ):
        raise ClassifyError(
            f"{path.name} needs pictures of {' or '.join(card.heads)} magnification; "
            f"{lot.name} has {' and '.join(features.views)}."
        )
    given = {}
    if keep_labels:
        given = {
            k: (d.label, d.labelled_by or "file")
            for k, d in enumerate(lot.defects)
            if d.label is not None
        }
    views = features.views
    decisions = decide(
        [d.id for d in lot.defects], trained.classes, trained.probabilities(views),
        trained.novelty(trained.space.places(views)), trained.thresholds(purity),
        purity, given, features.broken,
    )  # fmt: skip
    decisions.provenance = {
        "lot": lot.name, "file": str(lot.path or ""), "model": str(path),
        "trained on": ", ".join(card.lots), "made": card.made,
        "encoder": card.encoder, "features": card.features,
        "labels": str(len(trained.labels)), "version": card.version,
    }  # fmt: skip
    return decisions
