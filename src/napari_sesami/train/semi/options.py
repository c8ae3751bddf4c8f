"""Options of the recipe `semi`, and the presets that fill them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from napari_sesami.train.errors import TrainError

OWN: dict[str, Any] = {
    "strong": "noise", "views": 1, "worst": "later", "cutmix": 0.5, "perturb": True,
    "threshold": 0.95, "per_class": True, "balance": 0.5, "unlabelled_weight": 1.0,
    "teacher": 0.99, "warm_up": 0.35, "rare_crops": 0.5, "noisy": 0.5, "dice": 0.5,
    "class_power": 0.5, "patience": 50,
}  # fmt: skip
SUPERVISED = OWN | {
    "strong": "none", "worst": "never", "cutmix": 0.0, "perturb": False, "noisy": 0.0,
    "unlabelled_weight": 0.0, "teacher": 0.0, "warm_up": 0.0, "per_class": False,
    "patience": 0,
}  # fmt: skip
UNIMATCH = {
    "strong": "jitter", "views": 2, "worst": "never", "cutmix": 0.5, "perturb": True,
    "threshold": 0.95, "per_class": False, "balance": 0.5, "unlabelled_weight": 1.0,
    "teacher": 0.0, "warm_up": 0.0, "rare_crops": 0.0, "noisy": 0.0, "dice": 0.0,
    "class_power": 0.0, "patience": 0,
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    # equations 3 to 6; τ is not printed in the paper and is UniMatch's
    "paper": UNIMATCH | {
        "strong": "noise", "views": 1, "worst": "always", "cutmix": 0.0,
    },
    "unimatch": UNIMATCH,
    # mean teacher and CutMix (French et al. 2020), on the supervised part of "ours"
    "cutmix": SUPERVISED | {
        "cutmix": 1.0, "unlabelled_weight": 1.0, "teacher": 0.99, "warm_up": 0.35,
        "balance": 1.0,
    },
    "supervised": SUPERVISED,
    "supervised+noise": SUPERVISED | {"noisy": 0.5},
    "ours": OWN,
}  # fmt: skip
"""What each preset says of the options that are not given."""


@dataclass(frozen=True)
class SemiConfig:
    """Options of the recipe; those that are None are filled by the preset.

    Attributes
    ----------
    preset
        "ours"; "paper": equations 3 to 6 of Yu et al. as printed; "unimatch": UniMatch
        V1; "cutmix"; "supervised"; "supervised+noise". The last three share crops,
        class weights and dice with "ours", so that a gain is credited to its cause.
    architecture, encoder, width
        Of the net, as in `models.SegmenterPlan`. The paper: "deeplab".
    pretrained
        Whether the encoder starts from its weights.
    rival
        Folder of the segmenter to beat; empty: labels by retrieval.
    crop, zoom
        Side of a crop; it is resampled by a factor between 1 / zoom and zoom.
    encoder_rate
        Learning rate of the encoder, as a share of that of the decoder.
    modality
        Of the scans: chooses the noise. Empty, or none that is known: TEM.
    noise_strength
        1 is an ordinary picture, 2 a bad one.
    nothing
        Whether unlabelled pixels of labelled pictures are a class: "learn", "ignore",
        or "auto": where they are 5 % or more.
    strong
        Perturbation of the unlabelled pictures: "noise", "jitter" (UniMatch's, for
        grey), or "none".
    views
        Strongly perturbed views of each (UniMatch: 2).
    worst
        Which of the three noise sets a view meets: the one of the highest loss
        "always" (the paper), from the middle of the second part on ("later"), or
        "never": one at random.
    cutmix
        Chance that a strong view is cut into another one (UniMatch: 0.5).
    perturb
        Feature perturbation: a second decoding with half of the channels dropped.
    threshold, per_class
        τ, and whether it is lowered for classes that the teacher is less sure of.
    balance
        λ between image and feature perturbation (the paper: 0.5).
    unlabelled_weight
        Of L_u; 0 learns from labels alone.
    teacher
        Decay of the averaged weights that make the pseudo-labels; 0: the net itself.
    warm_up
        Share of the steps that learn from labels alone; it lasts until every class is
        learnt, twice as long at most.
    rare_crops
        Share of labelled crops centred on a pixel of a class chosen evenly.
    noisy
        Share of the labelled batch that meets noise.
    dice
        Weight of dice beside cross-entropy.
    class_power
        Labelled classes are weighted by their count to minus this.
    patience
        Steps without an accepted pixel after which a class is left out of the
        unlabelled loss; 0: never.
    """

    preset: Literal[
        "ours", "paper", "unimatch", "cutmix", "supervised", "supervised+noise"
    ] = "ours"
    architecture: Literal["unet", "deeplab", "nano"] = "unet"
    encoder: str = "lite0"
    width: int = 64
    pretrained: bool = True
    rival: str = ""
    crop: int = 96
    zoom: float = 1.25
    encoder_rate: float = 0.5
    modality: str = ""
    noise_strength: float = 1.0
    nothing: Literal["auto", "learn", "ignore"] = "auto"
    strong: Literal["noise", "jitter", "none"] | None = None
    views: int | None = None
    worst: Literal["always", "later", "never"] | None = None
    cutmix: float | None = None
    perturb: bool | None = None
    threshold: float | None = None
    per_class: bool | None = None
    balance: float | None = None
    unlabelled_weight: float | None = None
    teacher: float | None = None
    warm_up: float | None = None
    rare_crops: float | None = None
    noisy: float | None = None
    dice: float | None = None
    class_power: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise TrainError(
                f"There is no preset “{self.preset}”; take {', '.join(PRESETS)}."
            )
        for field in fields(self):
            if getattr(self, field.name) is None:
                value = PRESETS[self.preset][field.name]
                object.__setattr__(self, field.name, value)
        for key in ("cutmix", "balance", "warm_up", "rare_crops", "noisy", "threshold"):
            if not 0 <= getattr(self, key) <= 1:
                raise TrainError(f"“{key}” is a share, from 0 to 1.")
        if not 32 <= self.crop <= 2048 or not 1 <= self.zoom <= 4:
            raise TrainError("“crop” lies between 32 and 2048, “zoom” between 1 and 4.")
        if not 0 <= self.teacher < 1:  # type: ignore[operator]
            raise TrainError("“teacher” is 0, or a decay below 1, such as 0.99.")
        for key in ("unlabelled_weight", "dice", "class_power", "patience"):
            if getattr(self, key) < 0:
                raise TrainError(f"“{key}” must be 0 or more.")
        if not 0 < self.encoder_rate <= 1 or not 0 < self.noise_strength <= 10:
            raise TrainError(
                "“encoder_rate” is a share above 0, “noise_strength” lies between 0 "
                "and 10."
            )
        if not 1 <= self.views <= 4:  # type: ignore[operator]
            raise TrainError("“views” must be 1 to 4.")

    @property
    def unlabelled(self) -> bool:
        """Whether it learns from pictures without labels at all."""
        return bool(self.unlabelled_weight)


def needs_pool(preset: str, weight: float | None = None) -> bool:
    """Whether a preset learns from pictures without labels."""
    told = PRESETS.get(preset, OWN)["unlabelled_weight"] if weight is None else weight
    return bool(told)
