from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from napari_sesami.common.cancel import Cancelled
from napari_sesami.models import build_tiny_sam
from napari_sesami.prompt import EmbeddingStore, Mask, Predictor, PromptError, Stroke
from napari_sesami.scan import Scan


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def scan_of(image: np.ndarray) -> Scan:
    return Scan.from_array(image)


def test_a_click_gives_the_object_in_data_pixels(grey_model, blocks):
    mask = Predictor(grey_model).predict(scan_of(blocks), points=[(50, 100)])
    assert iou(mask.full, blocks == 200) > 0.85
    assert mask.shape == blocks.shape
    y0, x0, y1, x1 = mask.bbox
    assert mask.mask.shape == (y1 - y0, x1 - x0)
    assert mask.mask.any(axis=1).all() and mask.mask.any(axis=0).all()


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64, bool]
)
def test_any_dtype_sees_the_same_object(grey_model, blocks, dtype):
    image = (blocks == 200) if dtype is bool else (blocks == 200).astype(dtype) * 100
    mask = Predictor(grey_model).predict(scan_of(image), points=[(50, 100)])
    assert iou(mask.full, blocks == 200) > 0.85


def test_colour_images_and_not_a_number_are_taken(grey_model, blocks):
    colour = np.repeat((blocks == 200)[..., None] * np.uint8(200), 3, axis=2)
    mask = Predictor(grey_model).predict(scan_of(colour), points=[(50, 100)])
    assert iou(mask.full, blocks == 200) > 0.85
    holed = (blocks == 200).astype(np.float32)
    holed[300:, :] = np.nan
    mask = Predictor(grey_model).predict(scan_of(holed), points=[(50, 100)])
    assert iou(mask.full, blocks == 200) > 0.85


def test_a_box_is_half_open_in_data_pixels(big_grey_model, blocks):
    mask = Predictor(big_grey_model).predict(scan_of(blocks), box=(40, 80, 64, 120))
    assert iou(mask.full, blocks == 200) > 0.9


def test_a_layer_crossing_many_views_is_one_object(grey_model, blocks):
    mask = Predictor(grey_model).predict(scan_of(blocks), points=[(220, 300)])
    assert mask.bbox[1] == 0 and mask.bbox[3] == 600
    assert iou(mask.full, blocks == 400) > 0.9
    columns = mask.full.sum(axis=0)
    assert columns.max() - columns.min() <= 8  # no seam in its thickness


def test_a_thin_wire_is_followed_at_native_resolution(grey_model):
    image = np.zeros((300, 600), np.uint8)
    image[148:156, 10:590] = 200
    mask = Predictor(grey_model).predict(scan_of(image), points=[(151, 40)])
    assert mask.bbox[3] > 570
    assert iou(mask.full, image > 0) > 0.8


def test_a_huge_object_is_seen_from_afar_with_fine_detail(grey_model, blocks):
    mask = Predictor(grey_model).predict(scan_of(blocks), points=[(320, 300)])
    assert iou(mask.full, blocks == 800) > 0.85  # its far ends are read 8 times smaller
    assert mask.view.shrink > 1


def test_without_reach_one_view_is_enough(grey_model, blocks):
    Predictor(grey_model).predict(scan_of(blocks), points=[(320, 300)], reach=False)
    assert len(grey_model.encoded) == 1


def test_an_object_at_the_border_of_a_view_is_seen_again_centred(grey_model):
    image = np.zeros((256, 256), np.uint8)
    image[100:132, 20:52] = 200
    mask = Predictor(grey_model).predict(scan_of(image), points=[(101, 21)])
    assert iou(mask.full, image > 0) > 0.85


def test_a_long_stroke_takes_the_whole_wire(grey_model):
    image = np.zeros((300, 600), np.uint8)
    image[148:156, 10:590] = 200
    mask = Predictor(grey_model).predict(
        scan_of(image), strokes=[[(151, 12), (152, 588)]]
    )
    assert iou(mask.full, image > 0) > 0.9


def test_a_negative_stroke_counts_as_clicks_off_the_object(grey_model, blocks):
    strokes = [Stroke([(220, 40), (220, 90)]), Stroke([(50, 85), (50, 110)], label=0)]
    mask = Predictor(grey_model).predict(scan_of(blocks), strokes=strokes)
    assert iou(mask.full, blocks == 400) > 0.9


def test_a_lasso_becomes_a_mask_prompt(big_grey_model, blocks):
    lasso = [(30, 70), (30, 130), (75, 130), (75, 70)]
    mask = Predictor(big_grey_model).predict(scan_of(blocks), lasso=lasso)
    drawn = np.zeros(blocks.shape, bool)
    drawn[30:75, 70:130] = True
    assert iou(mask.full, drawn) > 0.9


def test_the_last_answer_is_handed_back_as_it_was(grey_model, blocks):
    predictor = Predictor(grey_model)
    first = predictor.predict(scan_of(blocks), points=[(50, 100)])
    predictor.predict(scan_of(blocks), points=[(50, 100), (55, 110)], mask=first)
    np.testing.assert_array_equal(grey_model.masks_seen[-1][0, 0], first.logits)


def test_a_bool_mask_is_handed_to_the_model_where_it_lies(big_grey_model, blocks):
    known = blocks == 200
    mask = Predictor(big_grey_model).predict(scan_of(blocks), mask=known)
    assert iou(mask.full, known) > 0.9


def test_a_click_leaves_out_parts_that_hang_together_with_nothing(big_grey_model):
    image = np.zeros((200, 200), np.uint8)
    image[20:60, 20:60] = image[120:160, 120:160] = 200
    predictor = Predictor(big_grey_model)
    one = predictor.predict(scan_of(image), points=[(40, 40)])
    assert one.bbox[2] < 80
    both = predictor.predict(scan_of(image), points=[(40, 40), (140, 140)])
    assert iou(both.full, image > 0) > 0.85
    loose = predictor.predict(scan_of(image), points=[(40, 40)], connected=False)
    assert iou(loose.full, image > 0) > 0.85


def test_candidates_come_best_first_and_grow(big_grey_model):
    ramp = np.zeros((200, 200), np.float32)
    ramp[20:180, 20:180] = 0.93
    ramp[60:140, 60:140] = 1.0
    net = Predictor(big_grey_model, plain=True)
    found = net.candidates(scan_of(ramp), points=[(100, 100)])
    assert len(found) == 3
    assert found[0].score == pytest.approx(0.9)
    assert len({m.area for m in found}) > 1


def test_a_second_click_nearby_encodes_nothing(grey_model, blocks):
    predictor, scan = Predictor(grey_model), scan_of(blocks)
    predictor.predict(scan, points=[(50, 100)])
    before = len(grey_model.encoded)
    predictor.predict(scan, points=[(50, 100), (45, 90)])
    assert len(grey_model.encoded) == before
    assert predictor.is_ready(scan, at=(50, 100))
    assert not predictor.is_ready(scan, at=(300, 500))
    predictor.prepare(scan, at=(300, 500))
    assert predictor.is_ready(scan, at=(300, 500))


def test_many_points_give_what_each_alone_gives(grey_model, blocks):
    predictor, scan = Predictor(grey_model), scan_of(blocks)
    points = [(50, 100), (220, 300), (320, 300), (52, 90)]
    told = []
    many = predictor.predict_many(
        scan, points=points, progress=lambda *a: told.append(a)
    )
    for point, mask in zip(points, many, strict=True):
        alone = predictor.predict(scan, points=[point], reach=False, multimask=True)
        np.testing.assert_array_equal(mask.full, alone.full)
    assert told[-1] == (4, 4)
    boxes = predictor.predict_many(scan, boxes=[(40, 80, 64, 120)])
    assert iou(boxes[0].full, blocks == 200) > 0.85


def test_planes_of_a_volume_do_not_share_embeddings(grey_model, blocks):
    volume = Scan.from_array(
        np.stack([blocks, np.roll(blocks, 100, axis=0)]), axes=("z", "y", "x")
    )
    predictor = Predictor(grey_model)
    first = predictor.predict(volume, plane=0, points=[(50, 100)])
    second = predictor.predict(volume, plane=1, points=[(150, 100)])
    assert second.plane == 1
    np.testing.assert_array_equal(np.roll(first.full, 100, axis=0), second.full)


@pytest.mark.parametrize("shape", [(8, 8), (8, 300), (1, 1), (3000, 16), (5, 64)])
def test_tiny_and_very_long_images_answer(shape):
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    predictor = Predictor(build_tiny_sam())
    mask = predictor.predict(scan_of(image), points=[(shape[0] // 2, shape[1] // 2)])
    assert mask.full.shape == shape


def test_a_strip_of_30000_pixels_answers():
    image = np.tile(np.arange(24, dtype=np.uint8), (30_000, 1))
    mask = Predictor(build_tiny_sam()).predict(scan_of(image), points=[(29_990, 3)])
    assert mask.full.shape == image.shape


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_constant_images_answer(value):
    image = np.full((90, 110), value, np.uint16)
    mask = Predictor(build_tiny_sam()).predict(scan_of(image), points=[(40, 40)])
    assert 0 <= mask.score <= 1
    assert mask.full.dtype == bool


def test_500_points_and_contradictory_ones_answer(blocks):
    rng = np.random.default_rng(0)
    predictor = Predictor(build_tiny_sam())
    points = rng.random((500, 2)) * [399, 599]
    mask = predictor.predict(
        scan_of(blocks), points=points, labels=rng.integers(0, 2, 500)
    )
    assert mask.full.shape == blocks.shape
    mask = predictor.predict(scan_of(blocks), points=[(9, 9)] * 2, labels=[0, 1])
    assert mask.full.shape == blocks.shape
    with pytest.raises(PromptError, match="positive"):
        predictor.predict(scan_of(blocks), points=[(9, 9)], labels=[0])


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({}, "Nothing says where"),
        ({"points": [(500, 20)]}, "outside the image of 400 × 600"),
        ({"points": [(-1, 20)]}, "outside"),
        ({"points": [(np.nan, 20)]}, "finite"),
        ({"points": [(1, 2, 3)]}, "pairs"),
        ({"points": "here"}, "numbers"),
        ({"points": [(1, 2)], "labels": [1, 0]}, "need 1 labels"),
        ({"points": [(1, 2)], "labels": [2]}, "1 on the object"),
        ({"box": (10, 10, 10, 50)}, "no area"),
        ({"box": (500, 10, 510, 50)}, "outside"),
        ({"box": (1, 2, 3)}, "3 numbers"),
        ({"strokes": [np.zeros((0, 2))]}, "no points"),
        ({"strokes": [[(0, 0), (900, 0)]]}, "outside"),
        ({"lasso": [(0, 0), (5, 5)]}, "three corners"),
        ({"lasso": [(-9, -9), (-5, -5), (-9, -5)]}, "no pixel"),
        ({"mask": np.ones((3, 3), bool)}, "400 × 600"),
        ({"mask": np.ones(3, bool)}, "two axes"),
    ],
)
def test_senseless_prompts_are_answered_with_a_sentence(
    grey_model, blocks, given, word
):
    with pytest.raises(PromptError, match=word):
        Predictor(grey_model).predict(scan_of(blocks), **given)
    assert not grey_model.encoded


def test_a_box_drawn_backwards_or_over_the_edge_is_understood(big_grey_model, blocks):
    predictor = Predictor(big_grey_model)
    there = predictor.predict(scan_of(blocks), box=(64, 120, 40, 80))
    assert iou(there.full, blocks == 200) > 0.9
    over = predictor.predict(scan_of(blocks), box=(-50, -50, 64, 120))
    assert over.full.shape == blocks.shape


def test_cancel_stops_between_steps(grey_model, blocks):
    with pytest.raises(Cancelled):
        Predictor(grey_model).predict(
            scan_of(blocks), points=[(50, 100)], cancel=lambda: True
        )
    assert not grey_model.encoded


def test_cancel_stops_inside_an_encoder():
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    predictor = Predictor(build_tiny_sam())
    with pytest.raises(Cancelled):
        predictor.predict(np.eye(100), points=[(50, 50)], cancel=stop)
    assert len(asked) == 3


def test_the_same_prompts_give_the_same_mask_whatever_came_before(blocks):
    scan = scan_of(blocks)
    fresh = Predictor(build_tiny_sam()).predict(scan, points=[(50, 100)])
    used = Predictor(build_tiny_sam())
    for at in [(10, 10), (200, 300), (60, 120)]:
        used.predict(scan, points=[at])
    again = used.predict(scan, points=[(50, 100)])
    np.testing.assert_array_equal(fresh.full, again.full)


def test_a_worker_thread_and_the_main_thread_share_one_store(grey_model, blocks):
    store, scan, found = EmbeddingStore(), scan_of(blocks), []
    worker = threading.Thread(
        target=lambda: found.append(
            Predictor(grey_model, store).predict(scan, points=[(50, 100)])
        )
    )
    worker.start()
    worker.join()
    other = Predictor(grey_model, store).predict(scan, points=[(50, 100)])
    np.testing.assert_array_equal(found[0].full, other.full)
    assert len(grey_model.encoded) == 1


def test_out_of_memory_on_the_gpu_goes_on_with_the_cpu(blocks, monkeypatch):
    model = build_tiny_sam()
    encode, said = model.encode, []

    def full_gpu(view: torch.Tensor):
        if model.device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(view)

    monkeypatch.setattr(model, "encode", full_gpu)
    model.device = torch.device(
        "meta"
    )  # stands for a GPU: nothing can be computed there
    mask = Predictor(model, notice=said.append).predict(
        scan_of(blocks), points=[(50, 100)]
    )
    assert mask.full.shape == blocks.shape
    assert "CPU" in said[0]


def test_mask_windows_and_overlaps():
    full = np.zeros((50, 60), bool)
    full[10:20, 30:45] = True
    mask = Mask.from_array(full)
    assert mask.bbox == (10, 30, 20, 45)
    assert mask.area == 150
    np.testing.assert_array_equal(mask.window((5, 25, 30, 50)), full[5:30, 25:50])
    other = Mask.from_array(np.roll(full, 5, axis=0))
    assert mask.iou(other) == pytest.approx(5 * 15 / (15 * 15))
    assert mask.iou(Mask.from_array(np.zeros((50, 60), bool))) == 0
