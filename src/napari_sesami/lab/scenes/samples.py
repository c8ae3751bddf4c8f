"""The small scans with truth that come with the package, and how they were made.

``python -m napari_sesami.lab.scenes.samples FOLDER`` draws them again, bit by bit.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from napari_sesami.scan import LISTING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from napari_sesami.lab.scenes.types import Synthetic

LICENCE = "CC0-1.0: procedural images, free for any use; the code is BSD-3-Clause"


@dataclass(frozen=True)
class _SampleRecipe:
    """How a sample is drawn; `draw` gives the main scene and its companions."""

    title: str
    names: tuple[str, ...]
    """of the scans, as layers show them"""
    call: str
    draw: Callable[[], list[tuple[Synthetic, tuple[float, ...]]]]


def make_samples(folder: str | Path) -> list[Path]:
    """Draw all samples into a folder and give the files written.

    The same version of this package writes the same truth; grey values of another
    processor may differ by one level here and there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    samples = []
    for key, recipe in _recipes().items():
        scenes = []
        for number, (scene, origin) in enumerate(recipe.draw()):
            stem = key if number == 0 else f"{key}_{scene.info['sample_part']}"
            paths = folder / f"{stem}.ome.tif", folder / f"{stem}_truth.ome.tif"
            _write(paths[0], scene.image, scene)
            _write(paths[1], scene.labels, scene)
            written += paths
            scenes.append(_entry(recipe.names[number], scene, origin, paths))
        samples.append(
            {"key": key, "title": recipe.title, "call": recipe.call, "scenes": scenes}
        )
    text = json.dumps({"licence": LICENCE, "samples": samples}, indent=1)
    (folder / LISTING).write_text(text + "\n", encoding="utf-8")
    return [*written, folder / LISTING]


def _recipes() -> dict[str, _SampleRecipe]:
    """Seeds chosen by eye: typical pictures that show every class of their kind."""
    return {
        "tem": _SampleRecipe(
            "TEM cross-section of nanosheet transistors",
            ("TEM nanosheets",),
            'tem("gaa", 2, (1024, 1024), view="across", contrast="haadf", marks=False)',
            _draw_tem,
        ),
        "sem_pair": _SampleRecipe(
            "SEM defect at low and high magnification",
            ("SEM defect", "SEM defect, close"),
            'sem_pair("bridge", 4, pattern="lines", marks=False)',
            _draw_sem,
        ),
        "xrm": _SampleRecipe(
            "XRM volume of stacked memory",
            ("XRM memory stack",),
            'hbm(1, (72, 224, 224), "stack", voxel_um=1.8)',
            _draw_xrm,
        ),
        "aoi": _SampleRecipe(
            "Colour image of wire bonds",
            ("wire bonds",),
            "wire_bond(12, (768, 768), 2.0, saturation=0.95)",
            _draw_aoi,
        ),
    }


def _draw_tem() -> list[tuple[Synthetic, tuple[float, ...]]]:
    from napari_sesami.lab.scenes.cross_sections.section import tem

    shape = (1024, 1024)
    scene = tem("gaa", 2, shape, view="across", contrast="haadf", marks=False)
    return [(scene, (0.0, 0.0))]


def _draw_sem() -> list[tuple[Synthetic, tuple[float, ...]]]:
    from napari_sesami.lab.scenes.defect_pairs.pair import sem_pair

    pair = sem_pair("bridge", 4, pattern="lines", marks=False)
    high = replace(pair.high, info={**pair.high.info, "sample_part": "high"})
    origin = tuple(
        at * big - (count - 1) / 2 * small
        for at, big, small, count in zip(
            pair.center,
            pair.low.pixel_size,
            high.pixel_size,
            high.labels.shape,
            strict=True,
        )
    )
    return [(pair.low, (0.0, 0.0)), (high, origin)]


def _draw_xrm() -> list[tuple[Synthetic, tuple[float, ...]]]:
    from napari_sesami.lab.scenes.volumes.stack import hbm

    return [(hbm(1, (72, 224, 224), "stack", voxel_um=1.8), (0.0, 0.0, 0.0))]


def _draw_aoi() -> list[tuple[Synthetic, tuple[float, ...]]]:
    from napari_sesami.lab.scenes.wire_bonds.scan import wire_bond

    return [(wire_bond(12, (768, 768), 2.0, saturation=0.95), (0.0, 0.0))]


def _entry(
    name: str, scene: Synthetic, origin: tuple[float, ...], paths: tuple[Path, Path]
) -> dict[str, Any]:
    return {
        "name": name,
        "image": paths[0].name,
        "truth": paths[1].name,
        "modality": scene.modality,
        "shape": list(scene.image.shape),
        "pixel_size": list(scene.pixel_size),
        "unit": scene.unit,
        "origin": list(origin),
        "seed": scene.info.get("seed"),
        "classes": [
            {"id": c.id, "name": c.name, "color": c.color} for c in scene.classes
        ],
    }


def _write(path: Path, pixels: NDArray[Any], scene: Synthetic) -> None:
    """Write an OME-TIFF without date, version or random id, so that bytes repeat."""
    import tifffile

    is_rgb = pixels.ndim == scene.labels.ndim + 1
    axes = "ZYX"[3 - scene.labels.ndim :] + ("S" if is_rgb else "")
    own = uuid5(NAMESPACE_URL, path.name)
    metadata: dict[str, Any] = {
        "axes": axes,
        "Name": scene.name,
        "UUID": str(own),
        "Creator": "napari-sesami",
    }
    for axis, size in zip(axes, scene.pixel_size, strict=False):
        metadata[f"PhysicalSize{axis}"] = size
        metadata[f"PhysicalSize{axis}Unit"] = scene.unit
    tifffile.imwrite(
        path,
        pixels,
        ome=True,
        photometric="rgb" if is_rgb else "minisblack",
        compression="zlib",
        compressionargs={"level": 9},
        predictor=True,
        software=False,
        metadata=metadata,
    )


def _main(arguments: list[str]) -> Iterator[str]:
    folder = Path(arguments[0]) if arguments else Path("sample_data")
    for path in make_samples(folder):
        yield f"{path} {path.stat().st_size / 1e6:.2f} MB"


if __name__ == "__main__":
    for line in _main(sys.argv[1:]):
        print(line)
