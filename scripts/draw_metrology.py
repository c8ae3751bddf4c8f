"""Draw docs/images/metrology.png: a drawn device with fitted edges and dimensions.

python scripts/draw_metrology.py
"""

from __future__ import annotations

from pathlib import Path

from napari_sesami.lab.scenes import tem
from napari_sesami.measure import Recipe, draw_overlay, measure

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "metrology.png"
RECIPE = Recipe.loads("""
format = "sesami-measure"
version = 1
[features.sheet]
class = "silicon"
area_px = [200, 6000]
[[measure]]
name = "sheet CD"
kind = "cd"
feature = "sheet"
at = [0.5]
[[measure]]
name = "high-k"
kind = "thickness"
between = ["silicon", "high-k", "titanium nitride"]
feature = "sheet"
zones = { top = "north", bottom = "south" }
""")

if __name__ == "__main__":
    scene = tem("gaa", 2, (400, 400), 0.33, view="across", contrast="haadf",
                noise=0.5, tilt_deg=0.0, marks=False)  # fmt: skip
    results = measure(scene.scan(), scene.labels, scene.classes, RECIPE)
    print(results.summary())
    draw_overlay(results, scene.scan()).save(PICTURE)
