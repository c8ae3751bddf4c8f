"""Fit noise to scans: dose and read-out, grain, scan lines, curtains, grey range."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from napari_sesami.common.cancel import Cancelled, not_cancelled
from napari_sesami.noise.base import NoiseError, need
from napari_sesami.noise.blocks import (
    AT_ALL,
    AT_MEAN,
    BINS,
    LEAST,
    SIDE,
    Blocks,
    blocks_of,
    calm,
    common,
)
from napari_sesami.noise.noise_fit import NoiseFit, Spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sesami.common.cancel import IsCancelled

SMALLEST = 128  # rows and columns of a picture
WINDOW = 1024  # of a large plane, its middle
PLANES = 6  # of one scan
CALM = 150  # blocks without structure that a fit needs, and that tell grain
FAINT = 1.5e-3  # of the grey range: less noise than this is none
# second differences of white noise, in calm blocks, have this correlation with their
# neighbours; beyond the limits it was smoothed, or sharpened, after it was counted.
# scripts/choose_noise.py prints how both lie apart
WHITE, SMOOTHED, SHARPENED = -0.6645, -0.6455, -0.668
ROUGH = 0.03  # how much less a tone is trusted that shows texture beside noise
SPAN = 0.2  # of brightness that tells counting from read-out
SURE = 0.15  # relative error of the read-out noise at which it is still told
LINE, CURTAIN = 0.003, 0.006  # of brightness: less than this is not told
WEIGHTS = np.array([0.2126, 0.7152, 0.0722])  # of colours in grey, ITU-R BT.709


class Planes(Protocol):
    """What is read of a scan."""

    @property
    def n_planes(self) -> int:
        """How many planes there are."""

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Rows and columns."""

    @property
    def ignore(self) -> NDArray[np.bool_] | None:
        """True where pixels are no specimen."""

    @property
    def normalisation(self) -> Any:
        """Grey values `lo` and `hi` that are brightness 0 and 1."""

    def window(self, index: int, box: tuple[int, int, int, int]) -> NDArray[Any]:
        """Read a box of a plane."""


class _Part(NamedTuple):
    """What one scan, or a quarter of a picture, told."""

    growth: float
    base: float
    growth_error: float
    base_error: float


def fit(
    scans: Any, planes: Sequence[int] | None = None, stop: IsCancelled = not_cancelled
) -> NoiseFit:
    """Fit the noise of one scan, of several, or of a picture in an array.

    Parameters
    ----------
    scans
        A `Scan`, an array (y, x) or (y, x, 3), or a list of them. Brightness 0 and 1
        are the ends of a scan's normalisation, of a whole-number type, or 0 and 1.
    planes
        Of each scan; by default up to six, evenly spread.
    stop
        Asked between planes; True ends with `Cancelled`.

    Raises
    ------
    NoiseError
        There is no noise to fit: too small, constant, denoised, all structure. Noise
        that was smoothed after it was counted is fitted, but dose is refused: `notes`
        has the sentence.
    """
    many = list(scans) if isinstance(scans, list | tuple) else [scans]
    need(len(many) > 0, "There is no scan to fit noise on; open one.")
    found, refused = [], []
    for scan in many:
        try:
            found.append(_fit_one(scan, planes, stop))
        except NoiseError as error:
            refused.append(str(error))
    if not found:
        raise NoiseError(refused[0])
    if len(found) == 1:
        return (
            found[0]
            if not refused
            else replace(found[0], notes=_noted(found, len(many)))
        )
    return _merged(found, len(many))


def _fit_one(scan: Any, planes: Sequence[int] | None, stop: IsCancelled) -> NoiseFit:
    pictures, zero = _pictures(scan, planes, stop)
    parts: list[Blocks] = []
    ends, steps = [], []
    for number, (grey, whole, raw) in enumerate(pictures):
        low, high = raw[whole].min(), raw[whole].max()
        need(
            high > low,
            "This picture has one grey value only, so it has no noise to fit.",
        )
        cut = (raw <= low) | (raw >= high)
        ends.append(((raw[whole] <= low).mean(), (raw[whole] >= high).mean()))
        steps.append(_step(raw[whole]) * float(grey[whole].max() - grey[whole].min())
                     / float(high - low))  # fmt: skip
        parts.append(blocks_of(grey, whole, cut, 4 * number))
    blocks = Blocks.joined(parts)
    which, kept = calm(blocks)
    black, white = np.mean(ends, axis=0)
    if kept.sum() < CALM:
        _refuse_few(blocks, float(black), float(white), int(kept.sum()))
    step = float(np.median(steps))
    fine = blocks.fine[kept].mean() / AT_MEAN - step**2 / 12
    need(
        math.sqrt(max(fine, 0)) > FAINT
        or math.sqrt(blocks.rest[kept].mean()) > 2 * FAINT,
        "There is hardly any noise in this scan "
        f"({100 * math.sqrt(max(fine, 0)):.2g} % of its grey range): it was denoised, "
        "averaged or drawn. Fit a scan as the instrument wrote it.",
    )
    notes: list[str] = []
    grain, why = _grain(blocks, kept)
    line = _line(blocks, which, kept, step, grain)
    if line is None:
        raise NoiseError(
            "There are too few tones without structure in this scan to fit its noise; "
            "fit a scan with larger plain areas."
        )
    some = _parts(blocks, kept, step, grain)
    growth = _spread(line.growth, [p.growth for p in some])
    bases = [math.sqrt(max(p.base, 0)) for p in some]
    floor = _spread(math.sqrt(max(line.base, 0)), bases)
    electrons = read_out = None
    if why:
        notes.append(why)
    else:
        electrons, read_out, told = _dose(line, some, zero, blocks, kept)
        notes += told
    lines, curtains, angle = _streaks(pictures, zero)
    return NoiseFit(
        growth, floor, _same(grain), lines, curtains, angle, electrons, read_out,
        step, float(black), float(white), 1, tuple(notes),
    )  # fmt: skip


def _pictures(
    scan: Any, planes: Sequence[int] | None, stop: IsCancelled
) -> tuple[list[tuple[NDArray[Any], NDArray[np.bool_], NDArray[Any]]], float]:
    """Read brightness, what is known of it, and raw values; and where raw zero lies."""
    if hasattr(scan, "plane_shape"):
        height, width = scan.plane_shape
        total = scan.n_planes
        few = sorted({round(i) for i in np.linspace(0, total - 1, min(total, PLANES))})
        wanted = list(planes) if planes is not None else few
        low, high = float(scan.normalisation.lo), float(scan.normalisation.hi)
    else:
        array = np.asarray(scan)
        need(
            array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (3, 4)),
            "Noise is fitted on a scan or on pictures (y, x) or (y, x, 3); this array "
            f"has the shape {array.shape}.",
        )
        height, width = array.shape[:2]
        wanted, ends = [0], (0.0, 1.0)
        if array.dtype.kind in "iu":
            ends = (0.0, float(np.iinfo(array.dtype).max))
        low, high = ends
    need(
        min(height, width) >= SMALLEST,
        f"This picture has {height} × {width} pixels; noise is fitted on "
        f"{SMALLEST} × {SMALLEST} or more.",
    )
    y0, x0 = max(0, (height - WINDOW) // 2), max(0, (width - WINDOW) // 2)
    box = (y0, x0, min(height, y0 + WINDOW), min(width, x0 + WINDOW))
    out = []
    for index in wanted:
        if stop():
            raise Cancelled("Stopped as asked.")
        if hasattr(scan, "plane_shape"):
            raw = np.asarray(scan.window(index, box))
            ignore = scan.ignore
        else:
            raw, ignore = array[box[0] : box[2], box[1] : box[3]], None
        if raw.ndim == 3:
            raw = raw[..., :3] @ WEIGHTS
        raw = np.abs(raw) if np.iscomplexobj(raw) else raw
        raw = raw.astype(np.float64)
        whole = np.isfinite(raw)
        if ignore is not None:
            whole &= ~ignore[box[0] : box[2], box[1] : box[3]]
        need(
            int(whole.sum()) >= SMALLEST**2 // 2,
            "Too few pixels of this picture are known (the rest is empty or no "
            "specimen) to fit noise on it.",
        )
        raw = np.where(whole, raw, low)
        out.append(((raw - low) / (high - low), whole, raw))
    zero = -low / (high - low)
    lowest = min(float(raw[whole].min()) for _, whole, raw in out)
    return out, zero if lowest >= 0 else 0.0


def _step(values: NDArray[Any]) -> float:
    """Distance of two grey levels, in raw values; 0 where they are dense."""
    levels = np.unique(values)
    if len(levels) > 4096 or len(levels) < 2:
        return 0.0
    gaps = np.diff(levels)
    small = float(gaps.min())
    # a comb of equal steps, as whole numbers give and rescaled ones too
    even = np.abs(gaps / small - np.round(gaps / small)) < 0.05
    return small if bool(even.mean() > 0.9) else 0.0


def _refuse_few(blocks: Blocks, black: float, white: float, count: int) -> None:
    if black + white > 0.05:
        raise NoiseError(
            f"{100 * (black + white):.0f} % of the pixels lie at the ends of the grey "
            "scale, where noise is cut off, and too little else is plain; fit a scan "
            "with contrast and brightness set so that nothing is clipped."
        )
    if len(blocks.mean) and blocks.clipped.mean() > 0.5:
        raise NoiseError(
            "The noise of this scan reaches the ends of the grey scale nearly "
            "everywhere, so that its strength cannot be told; fit a scan of more dose, "
            "or with less contrast."
        )
    raise NoiseError(
        f"Only {count} places of this scan show noise alone ({CALM} are needed); fit a "
        "larger scan, or one with larger plain areas."
    )


def _grain(blocks: Blocks, kept: NDArray[np.bool_]) -> tuple[float, str]:
    """Tell over how many pixels noise is shared, and why dose is refused then."""
    fine = max(float(blocks.fine[kept].mean()), 1e-12)
    along = float(blocks.along[kept].mean() / fine)
    across = float(blocks.across[kept].mean() / fine)
    error = 1.1 / math.sqrt(float(kept.sum()) * 14)
    if (along + across) / 2 < SHARPENED - 0.6 * error:
        return 0.0, (
            "Dose and read-out are refused: the noise of neighbouring pixels is "
            "opposed, so the picture was sharpened after it was counted, and how many "
            "electrons there were can no longer be told."
        )
    both_ways = (along + across) / 2 <= SMOOTHED + 0.6 * error
    if both_ways and max(along, across) <= SMOOTHED + 2 * error:
        return 0.0, ""
    size = _size(max(along, across))
    return size, (
        "Dose and read-out are refused: neighbouring pixels share their noise (over "
        f"about {max(size, 0.4):.1f} pixels), so it was smoothed or resampled after it "
        "was counted, and how many electrons there were can no longer be told."
    )


def _size(correlation: float) -> float:
    """Width of the blur that gives second differences of noise this correlation."""
    sizes = np.arange(0.3, 3.01, 0.02)
    wave = np.linspace(0, np.pi, 512)
    bend = (2 - 2 * np.cos(wave)) ** 2
    seen = []
    for size in sizes:
        at = np.arange(-math.ceil(3 * size), math.ceil(3 * size) + 1)
        kernel = np.exp(-0.5 * (at / size) ** 2)
        passed = (np.cos(at[:, None] * wave) * (kernel / kernel.sum())[:, None]).sum(0)
        power = bend * passed**2
        seen.append(float((power * np.cos(wave)).sum() / power.sum()))
    true = correlation + (-2 / 3 - WHITE)
    return float(np.interp(true, seen, sizes))


def _line(
    blocks: Blocks,
    which: NDArray[np.intp],
    kept: NDArray[np.bool_],
    step: float,
    grain: float,
) -> _Part | None:
    """Lay a line through the variance of the noise over brightness."""
    at, seen, count, edges = [], [], [], []
    for k in range(BINS):
        own = kept & (which == k)
        if own.sum() < LEAST:
            continue
        at.append(float(blocks.mean[own].mean()))
        level = (
            blocks.fine[own].mean() / AT_MEAN
            if grain == 0
            else blocks.rest[own].mean() / AT_ALL / _kept_of_grain(grain)
        )
        seen.append(float(level))
        count.append(int(own.sum()))
        coarse = blocks.rest[own].mean() / AT_ALL
        edges.append(float(coarse / max(blocks.fine[own].mean() / AT_MEAN, 1e-12)) - 1)
    if not at:
        return None
    x, y, n = np.array(at), np.array(seen), np.array(count)
    y = np.maximum(y, max(1e-3 * float(y.max()), 1e-12))
    # blocks that show texture or edges beside noise are trusted less
    rough = np.clip(np.array(edges) - min(edges), 0, 3)
    rel = np.sqrt(2 / (10 * n) + 0.02**2 + (ROUGH * rough) ** 2)
    if len(x) < 3 or float(np.ptp(x)) < 1e-6:
        level = float(np.average(y, weights=n)) - step**2 / 12
        return _Part(0.0, level, math.inf, math.inf)
    design = np.stack([x, np.ones_like(x)], 1)
    error, trust = rel * y, np.ones_like(y)
    for _ in range(8):
        weight = (trust / error)[:, None]
        growth, base = np.linalg.lstsq(design * weight, y * weight[:, 0], rcond=None)[0]
        line = np.maximum(growth * x + base, 1e-2 * y.max())
        error = rel * line
        off = (y - growth * x - base) / error
        trust = 1 / np.sqrt(1 + (off / 2) ** 2)
    spare = max(1.0, float((trust**2 * off**2).sum()) / max(len(x) - 2, 1))
    inverse = np.linalg.inv((design * weight).T @ (design * weight)) * spare
    growth_error, base_error = np.sqrt(np.diag(inverse))
    base -= step**2 / 12
    if growth < 2 * growth_error:  # noise that does not grow with brightness
        level = float(np.average(y, weights=n)) - step**2 / 12
        return _Part(0.0, level, float(growth_error), float(base_error))
    return _Part(float(growth), float(base), float(growth_error), float(base_error))


def _kept_of_grain(size: float) -> float:
    """Share of the variance that a block without its rows and columns still shows."""
    at = np.arange(SIDE)
    alike = np.exp(-((at[:, None] - at) ** 2) / (4 * size**2))
    free = (np.eye(SIDE) - 1 / SIDE) / (SIDE - 1)
    return float((free * alike).sum() ** 2)


def _parts(
    blocks: Blocks, kept: NDArray[np.bool_], step: float, grain: float
) -> list[_Part]:
    """Fit quarters of pictures, or whole pictures where there are three or more."""
    part = blocks.part if blocks.part.max() < 12 else blocks.part // 4
    out = []
    for number in np.unique(part):
        own = blocks[part == number]
        which, calm_ones = calm(own)
        if calm_ones.sum() < 2 * LEAST:
            continue
        line = _line(own, which, calm_ones, step, grain)
        if line is not None and (line.growth > 0 or math.isfinite(line.growth_error)):
            out.append(line)
    return out


def _dose(
    line: _Part,
    parts: list[_Part],
    zero: float,
    blocks: Blocks,
    kept: NDArray[np.bool_],
) -> tuple[Spread | None, Spread | None, list[str]]:
    """Count electrons from the line; say why where that cannot be done."""
    span = float(np.ptp(np.percentile(blocks.mean[kept], [2, 98])))
    if span < SPAN:
        return None, None, [
            "Dose and read-out are refused: the scan has nearly one tone only, and "
            "counting noise is told from read-out noise by how it grows from dark to "
            "bright."
        ]  # fmt: skip
    if line.growth <= 4 * line.growth_error:
        return None, None, [
            "Dose and read-out are refused: the noise does not grow with brightness, "
            "as counting noise would (reconstructed or rescaled scans are like that)."
        ]  # fmt: skip
    white = 1 - zero
    sure = [p for p in parts if p.growth > 4 * p.growth_error]
    electrons = _spread(white / line.growth, [white / p.growth for p in sure])
    at_zero = line.base + line.growth * zero
    if at_zero <= 0 or line.base_error / (2 * at_zero) > SURE:
        return electrons, None, [
            "Read-out noise is refused: it is too small beside counting noise, or the "
            "darkest tone of the scan is too bright, to tell it."
        ]  # fmt: skip
    reads = [math.sqrt(max(p.base + p.growth * zero, 0)) / p.growth for p in sure]
    return electrons, _spread(math.sqrt(at_zero) / line.growth, reads), []


def _streaks(
    pictures: list[tuple[NDArray[Any], NDArray[np.bool_], NDArray[Any]]], zero: float
) -> tuple[Spread, Spread, float]:
    """Tell scan lines and curtains; the direction of these by leaning the picture."""
    lines, curtains, angles = [], [], []
    for grey, whole, _ in pictures[:3]:
        best, angle = 0.0, 0
        for degrees in (0, -8, -6, -4, -2, 2, 4, 6, 8):
            lean = math.tan(math.radians(degrees)) * (
                np.arange(len(grey)) - len(grey) / 2
            )
            at = np.arange(grey.shape[1])[None] + np.round(lean).astype(int)[:, None]
            at %= grey.shape[1]
            turned = np.take_along_axis(grey, at, 1) if degrees else grey
            seen = np.take_along_axis(whole, at, 1) if degrees else whole
            blocks = blocks_of(turned, seen, ~seen)
            kept = calm(blocks)[1]
            if not degrees:
                lines.append(common(blocks, kept, zero, "rows"))
            level = common(blocks, kept, zero, "columns")
            if level > 1.1 * best:
                best, angle = level, degrees
        curtains.append(best if best > CURTAIN else 0.0)
        angles.append(float(angle) if best > CURTAIN else 0.0)
    found = [v if v > LINE else 0.0 for v in lines]
    return (
        _spread(float(np.median(found)), found),
        _spread(float(np.median(curtains)), curtains),
        float(np.median(angles)),
    )


def _same(value: float) -> Spread:
    return Spread(value, value, value)


def _spread(value: float, parts: Sequence[float]) -> Spread:
    if len(parts) < 2:
        return _same(value)
    low, high = (float(v) for v in np.percentile(parts, [10, 90]))
    return Spread(value, min(low, value), max(high, value))


def _merged(found: list[NoiseFit], given: int) -> NoiseFit:
    """Join fits of several scans: the median, and 10 to 90 % of them."""

    def joined(name: str) -> Spread:
        values = [getattr(f, name).value for f in found]
        return _spread(float(np.median(values)), values)

    def of_those_told(name: str) -> Spread | None:
        values = [s.value for f in found if (s := getattr(f, name)) is not None]
        if 2 * len(values) < len(found):
            return None
        return _spread(float(np.median(values)), values)

    def middle(name: str) -> float:
        return float(np.median([getattr(f, name) for f in found]))

    return NoiseFit(
        joined("growth"), joined("floor"), joined("grain"), joined("lines"),
        joined("curtains"), middle("angle_deg"), of_those_told("electrons"),
        of_those_told("read_out"), middle("step"), middle("black"), middle("white"),
        len(found), _noted(found, given),
    )  # fmt: skip


def _noted(found: list[NoiseFit], given: int) -> tuple[str, ...]:
    """Each sentence once, with how many scans it is about, and what was left out."""
    counted: dict[str, int] = {}
    for one in found:
        for note in one.notes:
            counted[note] = counted.get(note, 0) + 1
    told = [
        note if n == len(found) else f"{n} of {len(found)} scans: {note}"
        for note, n in counted.items()
    ]
    if len(found) < given:
        told.append(f"{given - len(found)} of {given} scans have no noise to fit.")
    return tuple(told[:8])
