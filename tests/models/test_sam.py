from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor

from napari_sesami.common.cancel import Cancelled, cancellable
from napari_sesami.models import ModelError, SamModel, build_tiny_sam
from napari_sesami.models.sam.config import SamConfig, build_sam, fit_state
from napari_sesami.models.sam.encoder import FastEncoder
from napari_sesami.models.sam.model import NATURAL_MEAN, NATURAL_STD

SMALL = {"dim": 96, "out_chans": 32, "decoder_mlp": 64, "iou_hidden": 32}
KINDS = {
    "windows cut by the edge": SamConfig(
        image_size=320, depth=3, heads=3, window=14, global_blocks=(2,), **SMALL
    ),
    "windows that fit": SamConfig(
        image_size=256, depth=2, heads=2, window=8, global_blocks=(1,), **SMALL
    ),
    "many keys": SamConfig(
        image_size=384, depth=1, heads=2, window=0, global_blocks=(0,), **SMALL
    ),
    "patches of 8": SamConfig(
        image_size=128, patch=8, depth=2, heads=2, window=7, global_blocks=(0,), **SMALL
    ),
    "no relative positions": SamConfig(
        image_size=128,
        depth=2,
        heads=1,
        window=0,
        global_blocks=(),
        relative=False,
        **SMALL,
    ),
}


def random_sam(config: SamConfig, seed: int = 0):
    torch.manual_seed(seed)
    sam = build_sam(config).eval()
    with torch.no_grad():
        for name, value in sam.named_parameters():
            if "rel_pos" in name or "pos_embed" in name:
                value.normal_(0, 0.5)  # zero at the start, which would hide mistakes
    return sam


def official(sam, view: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return sam.image_encoder(sam.preprocess(view.expand(-1, 3, -1, -1) * 255))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [1.0, 0.6])
def test_the_fast_encoder_equals_the_official_one(kind: str, part: float):
    sam = random_sam(KINDS[kind])
    side = int(sam.image_encoder.img_size * part)
    view = torch.rand(2, 1, side, max(side - 30, 5))
    with torch.no_grad():
        ours = FastEncoder(sam.image_encoder, NATURAL_MEAN, NATURAL_STD)(view)
    torch.testing.assert_close(ours, official(sam, view), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["windows cut by the edge", "many keys"])
def test_the_fused_gpu_path_computes_the_same(kind: str, monkeypatch):
    import napari_sesami.models.sam.encoder as fast

    sam = random_sam(KINDS[kind])
    view = torch.rand(1, 1, sam.image_encoder.img_size, sam.image_encoder.img_size)
    monkeypatch.setattr(fast, "_biased", fast._widened)
    with torch.no_grad():
        ours = FastEncoder(sam.image_encoder, NATURAL_MEAN, NATURAL_STD)(view)
    torch.testing.assert_close(ours, official(sam, view), atol=1e-4, rtol=0)


def test_half_precision_stays_close():
    sam = random_sam(KINDS["windows that fit"])
    view = torch.rand(1, 1, 256, 256)
    with torch.no_grad():
        ours = FastEncoder(sam.image_encoder, NATURAL_MEAN, NATURAL_STD, half=True)(
            view
        )
    assert float((ours - official(sam, view)).abs().mean()) < 0.05


def test_gradients_reach_the_encoder_through_the_fast_path():
    sam = random_sam(KINDS["many keys"])
    fast = FastEncoder(sam.image_encoder, NATURAL_MEAN, NATURAL_STD)
    fast(torch.rand(1, 1, 384, 384)).square().mean().backward()
    gradient = sam.image_encoder.blocks[0].attn.rel_pos_h.grad
    assert gradient is not None and float(gradient.abs().sum()) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_architecture_is_recognised_from_the_weights(kind: str):
    config = KINDS[kind]
    if not config.relative:
        pytest.skip("windows and heads leave no trace without relative positions")
    found = SamConfig.recognise(random_sam(config).state_dict())
    assert found == config


def test_official_sizes_are_recognised_without_building_them():
    sizes = {"ViT-B": (768, 12, 12), "ViT-L": (1024, 24, 16), "ViT-H": (1280, 32, 16)}
    everywhere = {12: (2, 5, 8, 11), 24: (5, 11, 17, 23), 32: (7, 15, 23, 31)}
    for title, (dim, depth, heads) in sizes.items():
        config = SamConfig(
            dim=dim, depth=depth, heads=heads, global_blocks=everywhere[depth]
        )
        with torch.device("meta"):
            state = build_sam(config).state_dict()
        assert SamConfig.recognise(state) == config
        assert title in config.title


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "sam.", "module.model."])
def test_prefixes_and_extra_heads_are_put_aside(prefix: str):
    tiny = build_tiny_sam(3)
    state = {prefix + key: value for key, value in tiny.sam.state_dict().items()}
    state["decoder.conv.weight"] = torch.zeros(3)  # as in micro-sam's checkpoints
    again = SamModel.from_state(state)
    assert again.key == tiny.key


def test_another_view_size_keeps_the_answer_similar():
    tiny = build_tiny_sam(0, image_size=128)
    larger = SamModel.from_state(tiny.sam.state_dict(), image_size=192)
    assert larger.tile == 192
    assert larger.key != tiny.key
    view = torch.rand(1, 1, 192, 192)
    emb = larger.encode(view)
    logits, _ = larger.decode(emb, torch.tensor([[[90.0, 90.0]]]), torch.ones(1, 1))
    assert logits.shape == (1, 3, 48, 48)
    same = fit_state(tiny.sam.state_dict(), tiny.sam)
    assert all(torch.equal(v, same[k]) for k, v in tiny.sam.state_dict().items())
    with pytest.raises(ModelError, match="multiple of 16"):
        SamModel.from_state(tiny.sam.state_dict(), image_size=200)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ({"a": torch.zeros(1)}, "no SAM checkpoint"),
        ({"image_encoder.layers.0.x": torch.zeros(1)}, "MobileSAM"),
        ({"image_encoder.trunk.x": torch.zeros(1)}, "SAM 2"),
    ],
)
def test_other_nets_are_refused_with_a_sentence(state: dict, word: str):
    with pytest.raises(ModelError, match=word):
        SamModel.from_state(state)


def test_a_checkpoint_with_a_missing_tensor_is_refused():
    state = build_tiny_sam().sam.state_dict()
    del state["mask_decoder.iou_token.weight"]
    with pytest.raises(ModelError, match="lacks 1 tensors"):
        SamModel.from_state(state)


def test_prompts_give_what_the_official_predictor_gives():
    model = build_tiny_sam(2)
    image = (np.random.default_rng(0).random((128, 128)) * 255).astype(np.uint8)
    peer = SamPredictor(model.sam)
    peer.set_image(np.repeat(image[..., None], 3, axis=2))
    emb = model.encode(torch.from_numpy(image / np.float32(255))[None, None])
    points = np.array([[30.0, 40.0], [80.0, 20.0]])
    labels = np.array([1, 0])
    for multimask in (True, False):
        _, theirs, low = peer.predict(
            points[:, ::-1], labels, multimask_output=multimask
        )
        logits, scores = model.decode(
            emb,
            torch.tensor(points)[None],
            torch.tensor(labels)[None],
            multimask=multimask,
        )
        np.testing.assert_allclose(logits[0].numpy(), low, atol=1e-4)
        np.testing.assert_allclose(scores[0].numpy(), theirs, atol=1e-4)
    _, theirs, low = peer.predict(
        box=np.array([10, 20, 59, 89]), mask_input=low, multimask_output=False
    )
    logits, _ = model.decode(
        emb,
        boxes=torch.tensor([[20.0, 10.0, 90.0, 60.0]]),
        masks=torch.from_numpy(low)[None] if low.ndim == 2 else logits,
        multimask=False,
    )
    np.testing.assert_allclose(logits[0].numpy(), low, atol=1e-3)


def test_many_prompts_at_once_give_what_each_gives_alone():
    model = build_tiny_sam()
    emb = model.encode(torch.rand(1, 1, 128, 128))
    points = torch.rand(40, 1, 2) * 127
    labels = torch.ones(40, 1)
    together, scores = model.decode(emb, points, labels)
    assert together.shape == (40, 3, 32, 32) and scores.shape == (40, 3)
    alone, _ = model.decode(emb, points[21:22], labels[21:22])
    torch.testing.assert_close(together[21:22], alone, atol=1e-5, rtol=1e-4)


def test_the_key_follows_the_weights():
    one, same, other = build_tiny_sam(0), build_tiny_sam(0), build_tiny_sam(1)
    assert one.key == same.key != other.key
    before = one.key
    with torch.no_grad():
        one.sam.mask_decoder.iou_token.weight.add_(1)
    one.rekey()
    assert one.key != before


def test_an_encoder_stops_when_asked():
    model = build_tiny_sam()
    with cancellable(lambda: True), pytest.raises(Cancelled):
        model.encode(torch.rand(1, 1, 128, 128))
    model.encode(torch.rand(1, 1, 128, 128))  # and works again afterwards


def test_unit_pixels_are_for_models_trained_on_them():
    state = build_tiny_sam().sam.state_dict()
    view = torch.rand(1, 1, 128, 128)
    unit = SamModel.from_state(state, unit_pixels=True)
    with torch.no_grad():
        raw = unit.sam.image_encoder(view.expand(1, 3, -1, -1))
    torch.testing.assert_close(unit.encode(view).image, raw, atol=1e-5, rtol=1e-4)


def test_the_net_is_built_without_torchvision_and_leaves_the_package_whole():
    code = (
        "import sys; from napari_sesami.models import Nano; Nano.bundled(); "
        "assert not {'torchvision', 'segment_anything'} & {*sys.modules}; "
        "import segment_anything as s; assert s.modeling.Sam and s.SamPredictor"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
