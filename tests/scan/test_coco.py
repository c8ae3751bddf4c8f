"""COCO and classes: what is saved comes back exactly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sesami.scan import (
    CocoImage,
    CocoMask,
    ScanError,
    load_classes,
    load_coco,
    save_classes,
    save_coco,
)
from napari_sesami.scan.writers.coco import SavedClass, decode_rle, encode_rle

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = [SavedClass(1, "oxide", "#ff0000"), SavedClass(3, "µ-void", "#00ff00")]


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
@settings(max_examples=200, deadline=None)
def test_runs_come_back_exactly(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(decode_rle(encode_rle(mask), mask.shape), mask)


def test_runs_go_down_the_columns_and_start_with_zeros() -> None:
    assert encode_rle(np.array([[0, 1], [0, 1]], bool)) == [2, 2]
    assert encode_rle(np.array([[1, 0], [0, 0]], bool)) == [0, 1, 3]


def test_labels_come_back_exactly(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 4, (3, 20, 30))
    save_coco(labels, tmp_path / "a.json", CLASSES, [f"s{i}.png" for i in range(3)])
    masks, images, classes = load_coco(tmp_path / "a.json")
    again = np.zeros_like(labels)
    for m in masks:
        y, x = m.origin
        again[m.image, y : y + m.mask.shape[0], x : x + m.mask.shape[1]][m.mask] = (
            m.class_id
        )
    np.testing.assert_array_equal(again, labels)
    assert images[2] == CocoImage("s2.png", 20, 30)
    assert [c.name for c in classes] == ["oxide", "µ-void", "class 2"]


def test_overlapping_objects_stay_apart(tmp_path: Path) -> None:
    one = CocoMask(np.ones((4, 6), bool), 1, 0, (2, 3), score=0.75)
    two = CocoMask(np.eye(5, dtype=bool), 3, 0, (1, 2))
    save_coco([one, two], tmp_path / "a.json", CLASSES, [CocoImage("a.tif", 10, 12)])
    masks, _, _ = load_coco(tmp_path / "a.json")
    assert [(m.origin, m.class_id, m.score) for m in masks] == [
        ((2, 3), 1, 0.75),
        ((1, 2), 3, None),
    ]
    np.testing.assert_array_equal(masks[1].mask, two.mask)
    entry = json.loads((tmp_path / "a.json").read_text())["annotations"][0]
    assert (entry["bbox"], entry["area"]) == ([3, 2, 6, 4], 24)
    assert entry["segmentation"]["size"] == [10, 12]


def test_nothing_selected_is_a_valid_file(tmp_path: Path) -> None:
    save_coco(np.zeros((4, 5), np.uint8), tmp_path / "a.json", CLASSES)
    masks, images, _ = load_coco(tmp_path / "a.json")
    assert (masks, images) == ([], [CocoImage("plane_0000", 4, 5)])


def test_a_mask_outside_its_image_is_told(tmp_path: Path) -> None:
    mask = CocoMask(np.ones((4, 6), bool), 1, 0, (8, 3))
    with pytest.raises(ScanError, match=r"reaches to row 12 .* a\.tif has 10 × 12"):
        save_coco([mask], tmp_path / "a.json", CLASSES, [CocoImage("a.tif", 10, 12)])
    assert not list(tmp_path.iterdir())


def test_too_few_images_and_wrong_arrays_are_told(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="belong to 3 images; 1 are described"):
        save_coco(np.ones((3, 4, 5), np.uint8), tmp_path / "a.json", (), ["one"])
    with pytest.raises(ScanError, match=r"labels \(y, x\)"):
        save_coco(np.ones((4, 5)), tmp_path / "a.json")


def test_polygons_and_broken_files_are_refused(tmp_path: Path) -> None:
    save_coco(np.ones((4, 5), np.uint8), tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    document["annotations"][0]["segmentation"] = [[0, 0, 1, 1, 0, 1]]
    (tmp_path / "b.json").write_text(json.dumps(document))
    with pytest.raises(ScanError, match=r"b\.json is no COCO file .* polygons"):
        load_coco(tmp_path / "b.json")
    (tmp_path / "c.json").write_text((tmp_path / "a.json").read_text()[:50])
    with pytest.raises(ScanError, match=r"c\.json is no JSON file, or cut off"):
        load_coco(tmp_path / "c.json")


def test_classes_come_back(tmp_path: Path) -> None:
    save_classes(CLASSES, tmp_path / "classes.json")
    assert load_classes(tmp_path / "classes.json") == CLASSES


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "not what was expected"),
        ('{"classes": [{"id": 1}]}', "needs an id, a name and a color"),
        ('{"classes": [{"id": 0, "name": "a", "color": "#fff"}]}', "from 1"),
        ('{"classes": [{"id": true, "name": "a", "color": "#fff"}]}', "from 1"),
        ("{", "cut off"),
    ],
)
def test_broken_class_files_are_told(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ScanError, match=rf"c\.json.*{why}"):
        load_classes(tmp_path / "c.json")


def test_a_missing_class_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"no\.json cannot be read"):
        load_classes(tmp_path / "no.json")
