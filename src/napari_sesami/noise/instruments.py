"""The three sets of each instrument: what its samples, machines and programs add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from napari_sesami.noise.base import NoiseError
from napari_sesami.noise.detector import (
    CompoundPoisson,
    DarkCurrent,
    Gain,
    HotPixels,
    ReadOut,
    Scintillator,
    ShotNoise,
)
from napari_sesami.noise.noise_fit import FittedNoise, NoiseFit
from napari_sesami.noise.noise_set import NoiseSet, SetPart
from napari_sesami.noise.optical import ColourCast, Glare, Shadow
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
from napari_sesami.noise.specks import Specks
from napari_sesami.noise.streaks import Streaks
from napari_sesami.noise.xrm import BeamHardening, CountingNoise, Rings

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sesami.noise.dice import Dice

Instrument = Literal["haadf", "bf", "sem", "xrm", "aoi"]
_NAMES: dict[str, Instrument] = {
    "tem": "haadf", "stem": "haadf", "haadf": "haadf", "adf": "haadf", "bf": "bf",
    "sem": "sem", "fib-sem": "sem", "xrm": "xrm", "ct": "xrm", "x-ray": "xrm",
    "aoi": "aoi", "optical": "aoi",
}  # fmt: skip
INSTRUMENTS: tuple[Instrument, ...] = ("haadf", "bf", "sem", "xrm", "aoi")


class StrongSets(NamedTuple):
    """The three sets of an instrument; each is always active."""

    sample: NoiseSet
    machine: NoiseSet
    post: NoiseSet


def instrument_of(modality: str | None) -> Instrument | None:
    """Tell which instrument's noise fits a scan's modality; None if none is known."""
    return _NAMES.get((modality or "").strip().lower())


def strong_sets(
    modality: str,
    strength: float = 1.0,
    pixel_size_nm: float | None = None,
    fitted: NoiseFit | None = None,
) -> StrongSets:
    """Make the three sets of noise of an instrument, for strong augmentation.

    Parameters
    ----------
    modality
        "TEM" (dark field, HAADF), "bf" (bright field), "SEM", "XRM" or "AOI"
        ("optical"); large or small letters.
    strength
        1 is an ordinary picture, 2 a bad one, 0.3 a very good one.
    pixel_size_nm
        For the burnt-in scale bar; 1 where unknown.
    fitted
        Noise of the user's own scans: it takes the place of counting and read-out
        noise and of scan lines in the set "machine".
    """
    instrument = instrument_of(modality)
    if instrument is None or not 0 < strength <= 10:
        raise NoiseError(
            "Sets of noise are known for the modalities TEM, bf, SEM, XRM and AOI, at "
            f"strengths above 0 up to 10; not for “{modality}” at {strength:g}."
        )
    sample, machine = {
        "haadf": (_lamella("haadf"), _dark_field()),
        "bf": (_lamella("bf"), _bright_field()),
        "sem": (_SURFACE, _SEM),
        "xrm": (_VOLUME, _XRM),
        "aoi": (_BOARD, _AOI),
    }[instrument]
    if fitted is not None:
        machine = _with_fitted(machine, fitted)
    post = _program(pixel_size_nm or 1.0, instrument == "sem")
    return StrongSets(
        NoiseSet("sample", sample, strength),
        NoiseSet("machine", machine, strength),
        NoiseSet("post", post, strength),
    )


def _with_fitted(parts: tuple[SetPart, ...], fitted: NoiseFit) -> tuple[SetPart, ...]:
    """Draw what was fitted where electrons are counted, and leave out its causes."""
    own = SetPart(lambda d: FittedNoise(fitted, d.strength), share=1.0, leads=False)
    first = next(n for n, part in enumerate(parts) if part.cause == "counts")
    kept = [own if n == first else part for n, part in enumerate(parts)
            if n == first or part.cause not in ("counts", "lines")]  # fmt: skip
    return tuple(kept)


def _lamella(contrast: Literal["haadf", "bf"]) -> tuple[SetPart, ...]:
    metal = 1 if contrast == "haadf" else -1
    return (
        SetPart(lambda d: Deformation(d.between(1, 3), int(d.pick(2, 5)))),
        SetPart(
            lambda d: Curtaining(
                d.between(0.05, 0.14),
                width_px=d.pick(1.5, 8),
                angle_deg=d.pick(-2, 2) if d.chance(0.7) else d.pick(-9, 9),
                fade_px=d.pick(80, 400),
                contrast=contrast,
            ),
            share=0.35,
        ),
        SetPart(
            lambda d: ThicknessWedge(d.between(0.05, 0.2), contrast=contrast),
            leads=False,
        ),
        SetPart(
            lambda d: Contamination(
                d.pick(0.005, 0.06),
                d.between(0.06, 0.16) * (1 if d.chance(0.6) else -1),
                d.pick(12, 60),
            ),
            share=0.3,
        ),
        SetPart(
            lambda d: Specks(d.pick(0.5, 4), metal * d.pick(0.2, 0.6), d.pick(4, 16))
        ),
    )


_STAGE = (
    SetPart(lambda d: Drift(d.between(0.5, 3)), leads=False),
    SetPart(lambda d: ScanJitter(d.between(0.1, 0.6)), leads=False),
)
_FOCUS = SetPart(
    lambda d: Blur(d.between(0.4, 1.1), 1.0 if d.chance(0.5) else d.pick(1.1, 1.8)),
    share=0.8,
    leads=False,
)


def _camera(full_scale: Callable[[Dice], float]) -> tuple[SetPart, ...]:
    """Dark current, gain, sensor scaling and hot pixels, as for any camera."""
    return (
        SetPart(lambda d: DarkCurrent(d.between(2, 20), full_scale(d))),
        SetPart(
            lambda d: Gain(
                d.between(0.01, 0.04), d.between(0.003, 0.015), int(d.pick(0, 1e6))
            ),
            least=0.3,
        ),
        SetPart(
            lambda d: Contrast(d.pick(0.8, 1.25), d.pick(-0.08, 0.08)), leads=False
        ),
        SetPart(lambda d: HotPixels(), share=0.25, least=1.0, leads=False),
        SetPart(
            lambda d: ReadOut(d.between(1, 6), full_scale(d)),
            leads=False,
            cause="counts",
        ),
    )


def _dose(d: Dice) -> float:
    return d.dose(100, 900)


def _dark_field() -> tuple[SetPart, ...]:
    return (
        *_STAGE,
        _FOCUS,
        SetPart(lambda d: ShotNoise(_dose(d)), share=1.0, cause="counts"),
        *_camera(_dose),
        SetPart(
            lambda d: LineBanding(d.between(0.006, 0.03), d.pick(20, 70)),
            share=0.4,
            leads=False,
            cause="lines",
        ),
    )


def _bright_field() -> tuple[SetPart, ...]:
    return (
        _STAGE[0],
        _FOCUS,
        SetPart(lambda d: ShotNoise(_dose(d)), share=1.0, cause="counts"),
        SetPart(lambda d: Scintillator(d.pick(0.4, 1.0)), leads=False, cause="counts"),
        *_camera(_dose),
    )


_SURFACE = (
    SetPart(
        lambda d: Charging(
            d.between(0.03, 0.1), d.between(0.1, 0.4), d.pick(15, 60),
            d.between(0.05, 0.2), d.pick(8, 24), coarse=4,
        )
    ),
    SetPart(
        lambda d: Contamination(
            d.pick(0.01, 0.1), -d.between(0.05, 0.15), d.pick(20, 80)
        )
    ),
    SetPart(
        lambda d: Specks(d.pick(0.3, 2), d.pick(0.15, 0.5), d.pick(4, 14)), share=0.35
    ),
    SetPart(lambda d: EdgeBloom(d.between(0.06, 0.2), d.pick(2, 6)), leads=False),
)  # fmt: skip
_SEM = (
    *_STAGE,
    SetPart(
        lambda d: Blur(d.between(0.5, 1.3), 1.0 if d.chance(0.3) else d.pick(1.2, 2.2)),
        share=0.8,
    ),
    SetPart(
        lambda d: CompoundPoisson(d.dose(25, 200), d.pick(0.3, 1.5)),
        share=1.0,
        cause="counts",
    ),
    SetPart(
        lambda d: LineBanding(d.between(0.01, 0.05), d.pick(10, 70), d.pick(0.2, 0.9)),
        cause="lines",
    ),
    SetPart(lambda d: Background(d.between(0.03, 0.1)), leads=False),
    SetPart(lambda d: ReadOut(d.between(1, 6), _dose(d)), leads=False, cause="counts"),
)  # fmt: skip

_VOLUME = (
    SetPart(lambda d: BeamHardening(d.between(0.04, 0.15), d.between(0.05, 0.15))),
    SetPart(lambda d: Deformation(d.between(0.4, 1.5), int(d.pick(2, 4))), share=0.4),
    SetPart(
        lambda d: Specks(d.pick(0.2, 1), d.pick(0.2, 0.6), d.pick(4, 10)), share=0.35
    ),
)
_XRM = (
    SetPart(lambda d: Blur(d.between(0.4, 1.2)), leads=False),
    SetPart(
        lambda d: Rings(
            d.between(0.004, 0.02), d.between(0.03, 0.09), d.pick(0.01, 0.05),
            d.pick(0.6, 1.6), 0.3, centre=(d.pick(-0.5, 1.5), d.pick(-0.5, 1.5)),
        )
    ),
    SetPart(lambda d: Streaks(d.between(0.03, 0.1), int(d.pick(3, 9)), d.pick(0.7, 2))),
    SetPart(
        lambda d: CountingNoise(
            d.dose(8000, 80000), int(d.pick(600, 2400)), d.pick(3, 5), d.pick(0, 0.9)
        ),
        share=1.0,
        cause="counts",
    ),
    SetPart(lambda d: Background(d.between(0.01, 0.05), 2), leads=False),
)  # fmt: skip

_BOARD = (
    SetPart(
        lambda d: Contamination(
            d.pick(0.01, 0.1),
            d.between(0.05, 0.2) * (1 if d.chance(0.4) else -1),
            d.pick(15, 60),
        )
    ),
    SetPart(
        lambda d: Specks(
            d.pick(0.3, 2.5),
            d.pick(0.15, 0.5) * (1 if d.chance(0.5) else -1),
            d.pick(3, 14),
        )
    ),
    SetPart(lambda d: Deformation(d.between(0.5, 2), int(d.pick(2, 4))), leads=False),
)  # fmt: skip
_AOI = (
    SetPart(lambda d: Blur(d.between(0.4, 1.4)), leads=False),
    SetPart(
        lambda d: Glare(d.between(0.2, 0.6), d.pick(0.06, 0.25), int(d.pick(1, 4)))
    ),
    SetPart(lambda d: Shadow(d.between(0.15, 0.5), d.pick(0.02, 0.2))),
    SetPart(lambda d: ColourCast(min(0.9, d.between(0.3, 0.7)), d.pick(1, 3))),
    SetPart(
        lambda d: ShotNoise(d.dose(500, 5000)), share=1.0, leads=False, cause="counts"
    ),
    SetPart(
        lambda d: Gain(d.between(0.005, 0.02), 0.0, int(d.pick(0, 1e6))), leads=False
    ),
)


def _program(pixel_size_nm: float, data_bar: bool) -> tuple[SetPart, ...]:
    parts = (
        SetPart(lambda d: Gamma(d.pick(0.65, 1.5)), leads=False),
        SetPart(lambda d: Contrast(d.pick(0.7, 1.4), d.pick(-0.1, 0.1)), leads=False),
        SetPart(lambda d: Sharpen(d.between(0.3, 1.2)), share=0.25, leads=False),
        SetPart(lambda d: Compression(int(d.pick(25, 80))), share=0.35, leads=False),
        SetPart(
            lambda d: Quantise(int(d.pick(5, 9))), share=0.3, least=1.0, leads=False
        ),
    )
    bar = SetPart(
        lambda d: ScaleBar(
            pixel_size_nm, d.pick(0.12, 0.3), boxed=d.chance(0.4), dark=d.chance(0.3)
        ),
        share=1.0,
        least=1.0,
        alike=2,
    )
    strip = SetPart(
        lambda d: DataBar(d.pick(0.05, 0.09), pixel_size_nm, f"{d.pick(0.5, 8):.1f}kV"),
        share=0.25,
        least=1.0,
        leads=False,
        alike=4,
    )
    return (*parts, bar, strip) if data_bar else (*parts, bar)
