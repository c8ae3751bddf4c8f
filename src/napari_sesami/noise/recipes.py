"""Whole imaging chains with strengths drawn at random, for scenes and for training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari_sesami.noise.base import Chain, Effect, Group, NoiseError
from napari_sesami.noise.detector import (
    CompoundPoisson,
    DarkCurrent,
    Gain,
    HotPixels,
    ReadOut,
    Scintillator,
    ShotNoise,
)
from napari_sesami.noise.dice import Dice
from napari_sesami.noise.optics import (
    Background,
    Blur,
    Charging,
    Drift,
    EdgeBloom,
    LineBanding,
    ScanJitter,
)
from napari_sesami.noise.post import (
    Compression,
    Contrast,
    DataBar,
    Gamma,
    Quantise,
    ScaleBar,
    Sharpen,
)
from napari_sesami.noise.sample import (
    Contamination,
    Curtaining,
    Deformation,
    ThicknessWedge,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Generator

Modality = Literal["haadf", "bf", "sem"]
GROUPS: tuple[Group, ...] = ("sample", "machine", "post")


def random_chain(
    generator: Generator,
    modality: Modality = "haadf",
    strength: float = 1.0,
    groups: Collection[Group] = GROUPS,
    pixel_size_nm: float = 1.0,
    marks: bool = True,
) -> Chain:
    """Draw a plausible imaging chain: which effects, and how strong.

    Parameters
    ----------
    generator
        Source of all chance.
    modality
        "haadf" or "bf" for TEM lamellas, "sem" for a scanned surface.
    strength
        1 is an ordinary picture, 2 a bad one, 0.3 a very good one.
    groups
        Which of "sample", "machine" and "post" may take part.
    pixel_size_nm
        For the scale bar.
    marks
        Whether scale bars and data bars may be burnt in.
    """
    unknown = set(groups) - set(GROUPS)
    if unknown or modality not in ("haadf", "bf", "sem") or strength < 0:
        raise NoiseError(
            "random_chain needs modality haadf, bf or sem, strength ≥ 0 and groups "
            f"from {', '.join(GROUPS)}; got {modality}, {strength}, {sorted(groups)}."
        )
    dice = Dice(generator, strength)
    effects: list[Effect] = []
    if "sample" in groups and modality != "sem":
        effects += _lamella(dice, "bf" if modality == "bf" else "haadf")
    if "machine" in groups:
        effects += _scanned(dice) if modality != "bf" else _camera_optics(dice)
        effects += _sem_signal(dice) if modality == "sem" else _detector(dice, modality)
    if "post" in groups:
        effects += _picture(dice)
        if marks:
            effects += _marks(dice, modality, pixel_size_nm)
    return Chain(tuple(effects))


def _lamella(dice: Dice, contrast: Literal["haadf", "bf"]) -> list[Effect]:
    effects: list[Effect] = []
    if dice.chance(0.4):
        effects.append(Deformation(dice.between(0.5, 3), int(dice.pick(2, 5))))
    if dice.chance(0.5):
        angle = dice.pick(-2, 2) if dice.chance(0.7) else dice.pick(-9, 9)
        effects.append(
            Curtaining(
                dice.between(0.02, 0.12),
                width_px=dice.pick(1.5, 8),
                angle_deg=angle,
                fade_px=dice.pick(80, 400),
                contrast=contrast,
            )
        )
    if dice.chance(0.6):
        effects.append(ThicknessWedge(dice.between(0.02, 0.2), contrast=contrast))
    if dice.chance(0.25):
        tone = dice.between(0.04, 0.15) * (1 if dice.chance(0.6) else -1)
        effects.append(Contamination(dice.pick(0.005, 0.05), tone, dice.pick(12, 60)))
    return effects


def _scanned(dice: Dice) -> list[Effect]:
    effects: list[Effect] = []
    if dice.chance(0.5):
        effects.append(Drift(dice.between(0.5, 3)))
    if dice.chance(0.6):
        effects.append(ScanJitter(dice.between(0.1, 0.5)))
    round_or_not = 1.0 if dice.chance(0.6) else dice.pick(1.1, 1.7)
    effects.append(Blur(dice.between(0.4, 1.1), round_or_not))
    return effects


def _camera_optics(dice: Dice) -> list[Effect]:
    round_or_not = 1.0 if dice.chance(0.6) else dice.pick(1.1, 1.7)
    return [Blur(dice.between(0.4, 1.1), round_or_not)]


def _sem_signal(dice: Dice) -> list[Effect]:
    effects: list[Effect] = []
    if dice.chance(0.3):
        effects.append(EdgeBloom(dice.between(0.03, 0.12), dice.pick(2, 6)))
    if dice.chance(0.5):
        effects.append(Charging(dice.between(0.02, 0.08), dice.between(0.05, 0.3)))
    if dice.chance(0.5):
        effects.append(Background(dice.between(0.02, 0.07)))
    effects.append(CompoundPoisson(dice.dose(25, 250), dice.pick(0.3, 1.5)))
    if dice.chance(0.5):
        effects.append(LineBanding(dice.between(0.005, 0.03), dice.pick(20, 70)))
    return effects


def _detector(dice: Dice, modality: Modality) -> list[Effect]:
    dose = dice.dose(120, 1500)
    effects: list[Effect] = [ShotNoise(dose)]
    if modality == "bf":
        effects.append(Scintillator(dice.pick(0.4, 1.0)))
        effects.append(DarkCurrent(dice.between(0, 10), dose))
        effects.append(Gain(dice.between(0.003, 0.02), dice.between(0, 0.006)))
        if dice.chance(0.15):
            effects.append(HotPixels())
    elif dice.chance(0.4):
        effects.append(LineBanding(dice.between(0.004, 0.02), dice.pick(20, 70)))
    effects.append(ReadOut(dice.between(1, 6), dose))
    return effects


def _picture(dice: Dice) -> list[Effect]:
    effects: list[Effect] = []
    if dice.chance(0.4):
        effects.append(Gamma(dice.pick(0.75, 1.35)))
    if dice.chance(0.5):
        effects.append(Contrast(dice.pick(0.75, 1.25), dice.pick(-0.08, 0.08)))
    if dice.chance(0.15):
        effects.append(Sharpen(dice.between(0.3, 1.0)))
    if dice.chance(0.2):
        effects.append(Compression(int(dice.pick(35, 90))))
    effects.append(Quantise(8))
    return effects


def _marks(dice: Dice, modality: Modality, pixel_size_nm: float) -> list[Effect]:
    if modality == "sem" and dice.chance(0.3):
        text = f"{dice.pick(0.5, 8):.1f}kV {dice.pick(2, 9):.1f}mm"
        return [DataBar(dice.pick(0.05, 0.09), pixel_size_nm, text)]
    if dice.chance(0.25):
        bar = ScaleBar(pixel_size_nm, dice.pick(0.12, 0.25), boxed=dice.chance(0.4))
        return [bar]
    return []
