"""Labels that a bank or a model makes on the way: `sesami measure --labels …`."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tifffile

import napari_sesami as sesami
from napari_sesami.cli import main
from napari_sesami.lab.metrology.scenes import fins
from napari_sesami.measure import load_results

RECIPE = """
format = "sesami-measure"
version = 1
[features.fin]
class = "silicon"
area_px = [300, 4000]
[[measure]]
name = "fin CD"
kind = "cd"
feature = "fin"
at = [0.5]
"""


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """Two scans; the first is labelled in a project, and a bank is made of it."""
    folder = tmp_path_factory.mktemp("made")
    scans = []
    for seed in (1, 2):
        drawn = fins(seed, count=4).noisy(4.0, seed)
        path = folder / f"fins{seed}.tif"
        tifffile.imwrite(path, drawn.image.astype(np.float32))
        scans.append((path, drawn))
    path, drawn = scans[0]
    s = sesami.Session(path, project=folder / "fins.sesami")
    for name, id_ in drawn.classes.items():
        s.classes.add(name)
        s.commit(drawn.labels == id_, name, instance=False)
    s.paint(
        np.where(np.arange(drawn.labels.shape[0])[:, None] % 9 < 6, drawn.labels, 0)
    )
    s.save()
    s.segment()
    s.retrieval.export_bank(folder / "fins.bank")
    s.close()
    (folder / "fins.toml").write_text(RECIPE, "utf-8")
    return folder, scans[1]


@pytest.mark.parametrize("kind", ["bank", "model"])
def test_made_labels_are_measured_with_what_they_leave_open(taught, kind, tmp_path):
    folder, (path, drawn) = taught
    home = {
        "bank": ["-b", folder / "fins.bank"],
        "model": ["-p", folder / "fins.sesami"],
    }
    arguments = ["measure", folder / "fins.toml", path, "--labels", kind, *home[kind]]
    assert main([str(a) for a in (*arguments, "-o", tmp_path)]) == 0
    found = load_results(tmp_path)
    values = [r for r in found["fin CD"] if r.statistic == "value" and r.has_value]
    assert len(values) >= 3
    assert found.provenance[0].labels_source.startswith(kind)
    truth = drawn.truth["cd"][:, 1]
    for r in values:
        assert np.abs(truth - r.value).min() < max(4 * r.U, 0.6)
        assert math.isfinite(r.U) and r.budget.u("segmentation") > 0
