"""Draw how honest the score of clicks is: what was said, and what was true.

sesami evaluate clicks --json answers.json
python scripts/draw_score.py answers.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from napari_sesami.lab.judge.learn import reliability

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SHOWN = {"pool": "judge", "net alone": "the net's own score"}


def pairs(rows: list[dict], method: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores and overlaps of all answers of a method."""
    found = []
    for row in rows:
        if row["method"] == method:
            found += [(row["scores"][i], row["clicks"][i]) for i in row["clicks"]]
            found.append((row["box_score"], row["box"]))
    both = np.array(found, float)
    return both[:, 0], both[:, 1]


def main() -> None:
    """Draw one panel a method."""
    rows = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    for axis, (method, name) in zip(figure.subplots(1, 2), SHOWN.items(), strict=True):
        said, true = pairs(rows, method)
        related, error, bins = reliability(said, true)
        axis.plot([0, 1], [0, 1], "--", color="0.6")
        axis.scatter(said, true, s=6, alpha=0.25, linewidths=0)
        x, y, n = zip(*bins, strict=True)
        axis.plot(x, y, "o-", color="C3")
        for a, b, count in zip(x, y, n, strict=True):
            axis.annotate(str(count), (a, b), (4, -10), textcoords="offset points")
        axis.set_title(f"{name}: correlation {related:.2f}, ECE {error:.3f}")
        axis.set_xlabel("score")
        axis.set_ylabel("true overlap (IoU)")
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1)
    figure.savefig(IMAGES / "click_score.png", dpi=80)


if __name__ == "__main__":
    main()
