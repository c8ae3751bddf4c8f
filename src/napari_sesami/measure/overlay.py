"""Pictures of a scan with its edges and dimension lines, for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from napari_sesami.common.disk import replacing
from napari_sesami.measure.files import plain_name

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.measure.results import Results
    from napari_sesami.scan import Scan

LARGEST = 1600  # pixels of the longer side
EDGE, LINE, BAD = (86, 180, 233), (240, 228, 66), (213, 94, 0)


def draw_overlay(results: Results, scan: Scan, plane: int = 0) -> Image.Image:
    """Draw edges blue, dimension lines yellow, and orange where a limit is broken."""
    rows, columns = scan.plane_shape
    shrink = max(1, int(np.ceil(max(rows, columns) / LARGEST)))
    grey = scan.grey(plane)[::shrink, ::shrink]
    picture = Image.fromarray((grey * 255).astype(np.uint8)).convert("RGB")
    zoom = max(1, 800 // max(grey.shape))
    if zoom > 1:
        size = (picture.width * zoom, picture.height * zoom)
        picture = picture.resize(size, Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(picture)

    def places(points: np.ndarray) -> list[tuple[float, float]]:
        at = (points + 0.5) / shrink * zoom
        return [(float(x), float(y)) for y, x in at]

    for r in results.rows:
        if r.plane != plane or not r.has_value:
            continue
        for edge in r.geometry.edges:
            if len(edge) > 1:
                pen.line(places(edge), fill=EDGE, width=max(1, zoom // 2))
        colour = BAD if r.verdict == "fail" else LINE
        for line in r.geometry.lines:
            pen.line(places(line), fill=colour, width=max(1, zoom // 2))
    return picture


def save_overlay(results: Results, scan: Scan, folder: Path) -> None:
    """Write the overlays of all planes measured as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for plane in sorted({r.plane for r in results.rows}):
        suffix = "" if scan.n_planes == 1 else f"-{plane}"
        name = f"{plain_name(scan.name)}-{scan.content_hash[:8]}{suffix}.png"
        with replacing(folder / name, sync=False) as temporary:
            draw_overlay(results, scan, plane).save(temporary, "PNG")
