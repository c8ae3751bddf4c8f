"""TEM cross-sections with exact truth: the door to all device families."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch

from napari_sesami.lab.scenes.cross_sections import beol, dram, finfet, gaa, nand
from napari_sesami.lab.scenes.cross_sections.materials import (
    add_texture,
    classes_of,
    numbers,
    soften,
    tones,
)
from napari_sesami.lab.scenes.geometry import Canvas, draw_dimensions
from napari_sesami.lab.scenes.types import SynthError, Synthetic
from napari_sesami.noise import displace_labels, random_chain

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

Contrast = Literal["haadf", "bf"]


class _Kind(NamedTuple):
    home: ModuleType
    dimensions: type[Any]


_KINDS = {
    "finfet": _Kind(finfet, finfet.FinFet),
    "gaa": _Kind(gaa, gaa.NanoSheet),
    "dram": _Kind(dram, dram.Capacitor),
    "nand": _Kind(nand, nand.ChannelHole),
    "beol": _Kind(beol, beol.Damascene),
}
TEM_KINDS: dict[str, tuple[str, ...]] = {
    name: kind.home.VIEWS for name, kind in _KINDS.items()
}
"""The device families and their views."""


def tem(
    kind: str = "finfet",
    seed: int = 0,
    shape: tuple[int, int] = (512, 512),
    pixel_size_nm: float | None = None,
    noise: bool | float = True,
    *,
    view: str | None = None,
    contrast: Contrast | None = None,
    tilt_deg: float | None = None,
    roughness_nm: float | None = None,
    roughness_length_nm: float = 8.0,
    marks: bool = True,
    **dimensions: float,
) -> Synthetic:
    """Draw a TEM cross-section of a device with its exact material truth.

    Parameters
    ----------
    kind
        "finfet", "gaa" (nanosheets), "dram" (capacitors), "nand" (channel holes) or
        "beol" (copper lines and vias).
    seed
        Same seed and parameters, same picture. Everything not given is drawn.
    shape
        Rows and columns.
    pixel_size_nm
        Side of a pixel; by default what microscopists choose for the family.
    noise
        False for clean pictures with their material textures, True for ordinary
        noise, or a strength (1 is ordinary, 2 bad).
    view
        Direction of the cut, see `TEM_KINDS`.
    contrast
        "haadf" or "bf" (bright field).
    tilt_deg
        Rotation of the picture.
    roughness_nm, roughness_length_nm
        Standard deviation of edges and the length over which they are alike.
    marks
        Whether noise may burn in a scale bar.
    **dimensions
        Dimensions in nm by name: the attributes of `FinFet`, `NanoSheet`,
        `Capacitor`, `ChannelHole` and `Damascene` (docs/synth.md lists them).

    Returns
    -------
    Synthetic
        uint8 picture; `info` has the dimensions drawn and the noise parameters.
    """
    chosen = _checked(kind, shape, pixel_size_nm, view, contrast)
    rng = np.random.default_rng([seed, *kind.encode()])
    names = chosen.home.MATERIALS
    view = view or str(rng.choice(chosen.home.VIEWS))
    contrast = contrast or ("haadf" if rng.random() < 0.7 else "bf")
    drawn_px = float(rng.uniform(*chosen.home.PIXEL_NM)) * 512 / max(shape)
    pixel_nm = pixel_size_nm or drawn_px
    drawn_tilt = float(rng.normal(0, 0.6))
    drawn_rough = float(rng.uniform(0.15, 0.5)) * max(1, pixel_nm / 0.6)
    canvas = Canvas(
        shape, pixel_nm, numbers(names), tones(names, contrast, rng), rng,
        drawn_tilt if tilt_deg is None else tilt_deg,
        drawn_rough if roughness_nm is None else roughness_nm, roughness_length_nm,
    )  # fmt: skip
    sizes = draw_dimensions(chosen.dimensions, rng, dimensions)
    getattr(chosen.home, view)(canvas, sizes)
    grey = soften(add_texture(canvas, names, contrast))
    info: dict[str, Any] = {
        "seed": seed, "kind": kind, "view": view, "contrast": contrast,
        "roughness_nm": canvas.roughness_nm, "dimensions_nm": asdict(sizes),
    }  # fmt: skip
    labels, ignore = canvas.labels, None
    if noise is not False:
        strength = 1.0 if noise is True else float(noise)
        grey, labels, ignore, info["noise"] = image_with(
            grey, labels, contrast, strength, pixel_nm, int(rng.integers(2**62)), marks
        )
    image = (np.clip(grey, 0, 1) * 255 + 0.5).astype(np.uint8)
    return Synthetic(
        image, labels, classes_of(names), (pixel_nm, pixel_nm), "nm", "TEM",
        f"{kind}_{view}_{contrast}_{seed}", ignore, info,
    )  # fmt: skip


def image_with(
    grey: NDArray[np.float32],
    labels: NDArray[np.uint8],
    modality: Literal["haadf", "bf", "sem"],
    strength: float,
    pixel_nm: float,
    seed: int,
    marks: bool,
) -> tuple[
    NDArray[np.float32], NDArray[np.uint8], NDArray[np.bool_] | None, dict[str, Any]
]:
    """Send grey values through a random microscope; labels follow its shifts."""
    generator = torch.Generator().manual_seed(seed)
    chain = random_chain(
        generator, modality, strength, pixel_size_nm=pixel_nm, marks=marks
    )
    result = chain(torch.from_numpy(grey).clamp(0, 1)[None, None], generator)
    moved = displace_labels(torch.from_numpy(labels)[None], result.displacement)
    ignore = None if result.ignore is None else result.ignore[0, 0].numpy()
    return result.image[0, 0].numpy(), moved[0].numpy(), ignore, result.params


def _checked(
    kind: str,
    shape: tuple[int, int],
    pixel_size_nm: float | None,
    view: str | None,
    contrast: str | None,
) -> _Kind:
    if kind not in _KINDS:
        raise SynthError(f'There is no TEM kind "{kind}"; take {", ".join(_KINDS)}.')
    views = _KINDS[kind].home.VIEWS
    if view is not None and view not in views:
        raise SynthError(f'{kind} has no view "{view}"; take {" or ".join(views)}.')
    if contrast not in (None, "haadf", "bf"):
        raise SynthError(f'contrast is "haadf" or "bf", not "{contrast}".')
    if len(shape) != 2 or min(shape) < 32:
        raise SynthError(f"shape must be two numbers of 32 or more, not {shape}.")
    if pixel_size_nm is not None and not 0.01 <= pixel_size_nm <= 100:
        raise SynthError(f"pixel_size_nm must be 0.01 to 100, not {pixel_size_nm}.")
    return _KINDS[kind]
