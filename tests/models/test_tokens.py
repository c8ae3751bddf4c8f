from __future__ import annotations

import pytest
import timm
import torch

from napari_sesami.models import ModelError, TokenEncoder, build_tiny_sam
from napari_sesami.models.tokens.encoders import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Debiased,
    SamTokens,
    VitTokens,
)
from napari_sesami.models.tokens.vit import build_vit, is_vit


def small_vit(**changes):
    torch.manual_seed(0)
    shape = {
        "img_size": 64,
        "patch_size": 8,
        "embed_dim": 64,
        "depth": 3,
        "num_heads": 1,
    }
    return timm.models.VisionTransformer(
        **{**shape, "num_classes": 0, **changes}
    ).eval()


def test_grey_costs_one_channel_and_changes_nothing():
    net = small_vit(dynamic_img_size=True)
    view = torch.rand(2, 1, 64, 48)
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        three = net.forward_intermediates(
            (view.expand(-1, 3, -1, -1) - mean) / std,
            indices=[2],
            norm=True,
            intermediates_only=True,
        )[0]
    encoder = VitTokens.from_state(net.state_dict(), device="cpu")
    assert encoder.net.patch_embed.proj.in_channels == 1
    torch.testing.assert_close(encoder.encode(view), three, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("size", [(64, 64), (8, 8), (37, 90), (1, 200), (128, 16)])
@pytest.mark.parametrize("normalise", [True, False])
def test_any_size_gives_tokens(size: tuple[int, int], normalise: bool):
    encoders = [
        VitTokens.from_state(small_vit().state_dict(), device="cpu"),
        SamTokens(build_tiny_sam()),
        SamTokens(build_tiny_sam(), layer=0),
    ]
    view = torch.rand(2, 1, *(min(n, 128) for n in size))
    for encoder in encoders:
        assert isinstance(encoder, TokenEncoder)
        tokens = encoder.encode(view, normalise)
        grid = tuple(-(-n // encoder.stride) for n in view.shape[-2:])
        assert tokens.shape == (2, encoder.dim, *grid)
        assert torch.isfinite(tokens).all()
        if normalise:
            torch.testing.assert_close(tokens.norm(dim=1), torch.ones(2, *grid))


def test_layers_are_chosen_and_put_side_by_side():
    state = small_vit().state_dict()
    one = VitTokens.from_state(state, layers=(0,), device="cpu")
    two = VitTokens.from_state(state, layers=(0, -1), device="cpu")
    assert (one.dim, two.dim) == (64, 128)
    assert one.key != two.key
    view = torch.rand(1, 1, 32, 32)
    first = torch.nn.functional.normalize(one.encode(view), dim=1)
    torch.testing.assert_close(two.encode(view)[:, :64], first)


def test_a_sam_at_its_full_size_gives_what_prompts_use():
    model = build_tiny_sam()
    view = torch.rand(1, 1, 128, 128)
    torch.testing.assert_close(SamTokens(model).encode(view), model.encode(view).image)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"class_token": False, "global_pool": ""},
        {"reg_tokens": 4, "no_embed_class": True},
        {"init_values": 1e-5},
        {"qkv_bias": False},
        {"in_chans": 1},
        {"mlp_ratio": 2.0},
    ],
)
def test_any_plain_vit_is_recognised(changes: dict):
    net = small_vit(**changes)
    state = {f"module.encoder.{k}": v for k, v in net.state_dict().items()}
    state["module.decoder_embed.weight"] = torch.zeros(3)  # as in an MAE
    state["module.mask_token"] = torch.zeros(1, 1, 64)
    assert is_vit(state)
    again = build_vit(state)
    for key, value in net.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


def test_metas_register_layout_is_understood():
    net = small_vit(reg_tokens=4, no_embed_class=True, init_values=1e-5)
    state = net.state_dict()
    meta = {k: v for k, v in state.items() if k != "reg_token"}
    meta["register_tokens"] = state["reg_token"]
    meta["pos_embed"] = torch.cat([torch.ones(1, 1, 64), state["pos_embed"]], 1)
    meta["cls_token"] = state["cls_token"] - 1
    meta["mask_token"] = torch.zeros(1, 64)
    again = build_vit(meta).state_dict()
    for key, value in state.items():
        torch.testing.assert_close(value, again[key])


def test_dinov3_is_recognised():
    net = timm.create_model("vit_small_patch16_dinov3", num_classes=0)
    encoder = VitTokens.from_state(net.state_dict(), device="cpu")
    assert encoder.encode(torch.rand(1, 1, 48, 80)).shape == (1, 384, 3, 5)


def test_other_nets_are_refused_with_a_sentence():
    with pytest.raises(ModelError, match="no plain vision transformer"):
        build_vit({"conv.weight": torch.zeros(3)})
    state = small_vit().state_dict()
    del state["blocks.1.norm1.weight"]
    with pytest.raises(ModelError, match="do not fit"):
        build_vit(state)


def spread(tokens: torch.Tensor) -> float:
    return float(tokens.var(dim=(2, 3)).sum())


def test_debiasing_takes_place_out_and_leaves_content():
    net = small_vit()
    with torch.no_grad():
        place = torch.linspace(-2, 2, 8)
        down, right = torch.randn(2, 64)
        where = place[:, None, None] * down + place[None, :, None] * right
        net.pos_embed[0, 1:] = where.reshape(64, 64)  # a net that mostly says where
    encoder = VitTokens.from_state(net.state_dict(), device="cpu")
    clean = Debiased(encoder)
    flat = torch.full((1, 1, 64, 64), 0.4)
    assert spread(clean.encode(flat)) < 0.1 * spread(encoder.encode(flat))
    halves = torch.rand(1, 1, 64, 64) * 0.1
    halves[..., 32:] += 0.8

    def apart(tokens: torch.Tensor) -> float:
        a, b = tokens[..., :4].flatten(2), tokens[..., 4:].flatten(2)
        return float(
            (a.mean(2) - b.mean(2)).norm() / (a.std(2).norm() + b.std(2).norm())
        )

    assert apart(clean.encode(halves)) > 1.5 * apart(encoder.encode(halves))
    assert clean.key != encoder.key


def test_debiasing_leaves_alone_what_knows_no_place():
    class Plain:
        name, key, stride, dim, tile = "plain", "plain", 4, 3, 64
        device = torch.device("cpu")

        def encode(self, view: torch.Tensor, normalise: bool = False) -> torch.Tensor:
            pooled = torch.nn.functional.avg_pool2d(view, 4)
            return torch.cat([pooled, pooled**2, torch.ones_like(pooled)], 1)

    view = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(Debiased(Plain()).encode(view), Plain().encode(view))
