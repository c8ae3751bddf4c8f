"""X-ray volumes of high-bandwidth memory with exact truth, whole or slab by slab."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_sesami.lab.scenes.types import SynthError, Synthetic
from napari_sesami.lab.scenes.volumes import parts as hp
from napari_sesami.lab.scenes.volumes.dimensions import dimensions
from napari_sesami.lab.scenes.volumes.tomography import (
    BLUR_UM,
    VOXEL_UM,
    VolumePlan,
    cut,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sesami.lab.scenes.volumes.parts import Domain
    from napari_sesami.lab.scenes.volumes.tomography import VolumeAxis


def hbm(
    seed: int = 0,
    shape: tuple[int, int, int] = (64, 256, 256),
    domain: Domain = "stack",
    voxel_um: float | tuple[float, float, float] | None = None,
    noise: bool = True,
    void_rate: float = 0.3,
    crack_rate: float = 0.03,
    rotation_axis: VolumeAxis = "z",
    rotation_centre: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> Synthetic:
    """Draw an XRM volume of a high-bandwidth memory with its truth.

    Parameters
    ----------
    seed
        The same seed and numbers give the same voxels.
    shape
        (z, y, x); z runs up through the dies.
    domain
        "logic": bumps of 44 µm at 96 µm pitch, staggered, coarse and soft. "memory":
        bumps of 25 µm at 55 µm pitch, TSVs of 6 µm, dies of 34 µm. "stack": a logic
        die with memory dies upon it.
    voxel_um
        Side of a voxel, or (z, y, x); None takes 1.5, 1.0 or 2.0 µm by domain.
    noise
        Whether the machine's noise is added; without it there is only the blur.
    void_rate, crack_rate
        Share of bumps with voids or with a crack in the solder.
    rotation_axis, rotation_centre
        The scan's rotation axis and where it lies, as shares of the shape. About z,
        rings are concentric in the planes; about y or x, they are straight lines.
    """
    plan = _plan(seed, shape, domain, voxel_um, noise, void_rate, crack_rate)
    plan = replace(plan, axis=rotation_axis, centre=rotation_centre)
    _check_axis(plan)
    return _whole(plan, f"hbm-{domain}-{seed}")


def hbm_slabs(
    seed: int = 0,
    shape: tuple[int, int, int] = (2048, 512, 512),
    domain: Domain = "stack",
    slab: int = 64,
    voxel_um: float | tuple[float, float, float] | None = None,
    noise: bool = True,
    void_rate: float = 0.3,
    crack_rate: float = 0.03,
    rotation_axis: VolumeAxis = "z",
    rotation_centre: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> Iterator[Synthetic]:
    """Draw a volume of any height slab by slab, for what does not fit into memory.

    The slabs together are the volume that `hbm` draws, whatever their thickness.
    `info["first_plane"]` tells where a slab begins.
    """
    if slab < 1:
        raise SynthError(f"A slab needs at least one plane, not {slab}.")
    plan = _plan(seed, shape, domain, voxel_um, noise, void_rate, crack_rate)
    plan = replace(plan, axis=rotation_axis, centre=rotation_centre)
    _check_axis(plan)
    for start in range(0, shape[0], slab):
        stop = min(start + slab, shape[0])
        yield cut(plan, start, stop, f"hbm-{domain}-{seed}-{start}")


def hbm_slice(
    seed: int = 0,
    shape: tuple[int, int] = (256, 256),
    domain: Literal["logic", "memory"] | None = None,
    view: Literal["plan", "side"] | None = None,
    noise: bool = True,
) -> Synthetic:
    """Draw one slice of a memory: a plan view through bumps, or a side view.

    Domain and view are drawn from the seed unless given; two of three slices are
    plan views, as the rotation axis stands on them they may show rings, side views
    straight lines.
    """
    rng = np.random.default_rng((seed, 99))
    drawn = rng.random(2)
    dom: Literal["logic", "memory"] = domain or (
        "logic" if drawn[0] < 0.5 else "memory"
    )
    kind = view or ("plan" if drawn[1] < 0.67 else "side")
    step = VOXEL_UM[dom] * rng.uniform(0.75, 1.3)
    depth = 2 * int(np.ceil(3 * BLUR_UM[dom] / step)) + 3
    plan = _plan(seed, (8, *shape), dom, step, noise, rng.uniform(0.2, 0.6), 0.06)
    die = hp.LOGIC if dom == "logic" else hp.MEMORY
    centre = rng.uniform(0.2, 0.8, 3)
    at = (float(centre[0]), float(centre[1]), float(centre[2]))
    if kind == "plan":
        deepest = die.bond_line if rng.random() < 0.85 else die.height
        plan = replace(plan, bottom=rng.uniform(1.0, deepest) - 0.5 * step, centre=at)
        one = cut(replace(plan, shape=(1, *shape)), 0, 1, f"hbm_slice-{seed}")
        return _as_slice(one, one.image[0], one.labels[0], dom, kind)
    plan = replace(plan, shape=(shape[0], depth, shape[1]), axis="z", centre=at)
    tall = plan.shape[0] * step
    plan = replace(plan, bottom=-rng.uniform(0, max(die.height, tall)) % die.height)
    row = plan.tier(*next(hp.tiers(dom, seed, 0, 1))).centre[0, 0]
    off = row + rng.normal(0, 0.12 * die.bump) - (depth // 2 + 0.5) * step
    plan = replace(plan, origin=(float(off), 0.0))
    volume = cut(plan, 0, shape[0], f"hbm_slice-{seed}", side=depth // 2)
    return _as_slice(volume, volume.image[:, 0], volume.labels[:, 0], dom, kind)


def _as_slice(
    source: Synthetic,
    image: NDArray[Any],
    labels: NDArray[np.uint8],
    domain: str,
    view: str,
) -> Synthetic:
    flip = slice(None, None, -1 if view == "side" else 1)  # upper dies on top
    return replace(
        source,
        image=np.ascontiguousarray(image[flip]),
        labels=np.ascontiguousarray(labels[flip]),
        pixel_size=(source.pixel_size[0], source.pixel_size[2]),
        info={**source.info, "domain": domain, "view": view},
    )


def _plan(
    seed: int,
    shape: tuple[int, int, int],
    domain: Domain,
    voxel_um: float | tuple[float, float, float] | None,
    noise: bool,
    void_rate: float,
    crack_rate: float,
) -> VolumePlan:
    if domain not in VOXEL_UM:
        raise SynthError(
            f'A memory scan is "logic", "memory" or "stack", not "{domain}".'
        )
    if len(shape) != 3 or min(shape) < 1 or seed < 0:
        raise SynthError(
            "A memory scan needs a shape (z, y, x) and a seed of 0 or more, not "
            f"{shape} and {seed}."
        )
    size = VOXEL_UM[domain] if voxel_um is None else voxel_um
    step = (size,) * 3 if isinstance(size, (int, float)) else size
    if len(step) != 3 or not all(0 < s <= 20 for s in step):
        raise SynthError(
            f"Voxels must measure above 0 and up to 20 µm, not {voxel_um}."
        )
    if not (0 <= void_rate <= 1 and 0 <= crack_rate <= 1):
        raise SynthError(
            "Rates of voids and cracks are shares of the bumps, in [0, 1]."
        )
    rng = np.random.default_rng((seed, 5))
    below = rng.uniform(3, 7) if domain == "stack" else rng.uniform(3, 14)
    faults = hp.Faults(void_rate, crack_rate, void_rate / 6)
    z, y, x = (float(s) for s in step)
    centre = (0.5, 0.5, 0.5)
    return VolumePlan(
        int(seed),
        shape,
        domain,
        (z, y, x),
        -below,
        (0.0, 0.0),
        faults,
        noise,
        "z",
        centre,
    )


def _check_axis(plan: VolumePlan) -> None:
    if plan.axis not in ("z", "y", "x"):
        raise SynthError(
            f'The rotation axis must be "z", "y" or "x", not "{plan.axis}".'
        )


def _whole(plan: VolumePlan, name: str) -> Synthetic:
    """Draw all slabs into one volume; slabs keep the memory for work small."""
    image = np.empty(plan.shape, np.uint16)
    labels = np.empty(plan.shape, np.uint8)
    info: dict[str, Any] = {}
    for start in range(0, plan.shape[0], 32):
        part = cut(plan, start, min(start + 32, plan.shape[0]), name)
        image[start : start + 32] = part.image
        labels[start : start + 32] = part.labels
        info = info or part.info
    truth = tuple(dimensions(plan))
    return replace(part, image=image, labels=labels, info=info, truth=truth)
