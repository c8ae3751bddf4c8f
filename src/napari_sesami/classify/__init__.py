"""Defect classes from pairs of magnifications, with "unknown" among the answers.

A lot is opened without reading a pixel; frozen tokens of its pictures are pooled once
and kept; heads in closed form answer after every label, and a class is decided only
where its held-out labels say that the wished purity is held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from napari_sesami.classify.apply import classify_lot
    from napari_sesami.classify.cache import FeatureCache
    from napari_sesami.classify.classifier import Classifier
    from napari_sesami.classify.confusion import ConfusionMatrix, confusion_of
    from napari_sesami.classify.decide import (
        REASONS,
        Decisions,
        Threshold,
        share_text,
        wilson,
    )
    from napari_sesami.classify.defect import Defect, DefectClass
    from napari_sesami.classify.encoders import (
        LEARNT,
        encoder_names,
        load_encoder,
        mark_of,
    )
    from napari_sesami.classify.errors import ClassifyError
    from napari_sesami.classify.features import LotFeatures, features_of, thumbnail
    from napari_sesami.classify.groups import held_out_groups
    from napari_sesami.classify.head import best_temperature, fit_head, probabilities
    from napari_sesami.classify.lot import Lot, open_lot
    from napari_sesami.classify.model import (
        DefectModel,
        Scaling,
        Space,
        fit_model,
        load_model,
    )
    from napari_sesami.classify.picture import DefectPicture, PictureReader
    from napari_sesami.classify.report import report_html
    from napari_sesami.classify.review import (
        LotDrift,
        contradictions,
        drift,
        drift_sentence,
        review_queue,
        similar,
        suspects,
    )
    from napari_sesami.classify.tuning import read_split
    from napari_sesami.classify.why import DefectPlaces, unlike_places

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "apply": ["classify_lot"],
        "cache": ["FeatureCache"],
        "classifier": ["Classifier"],
        "confusion": ["ConfusionMatrix", "confusion_of"],
        "decide": ["REASONS", "Decisions", "Threshold", "share_text", "wilson"],
        "defect": ["Defect", "DefectClass"],
        "encoders": ["LEARNT", "encoder_names", "load_encoder", "mark_of"],
        "errors": ["ClassifyError"],
        "features": ["LotFeatures", "features_of", "thumbnail"],
        "groups": ["held_out_groups"],
        "head": ["best_temperature", "fit_head", "probabilities"],
        "lot": ["Lot", "open_lot"],
        "model": ["DefectModel", "Scaling", "Space", "fit_model", "load_model"],
        "picture": ["DefectPicture", "PictureReader"],
        "report": ["report_html"],
        "tuning": ["read_split"],
        "why": ["DefectPlaces", "unlike_places"],
        "review": [
            "LotDrift",
            "contradictions",
            "drift",
            "drift_sentence",
            "review_queue",
            "similar",
            "suspects",
        ],
    },
)
