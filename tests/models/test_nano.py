"""sesami-nano: shapes, translation, prompts of every kind, weights on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_sesami.models import (
    NAME,
    Embedding,
    ModelError,
    Nano,
    NanoNet,
    PromptModel,
    TokenEncoder,
    save_nano,
)
from napari_sesami.models.nano.decoder import origins, prompt_maps

WEIGHTS = Path(__file__).parents[2] / "src/napari_sesami/models/weights"
TINY = {"widths": (16, 16, 32), "depth": 2, "heads": 4}


@pytest.fixture(scope="module")
def nano() -> Nano:
    torch.manual_seed(0)
    return Nano(NanoNet(dim=32, token_dim=16, **TINY), device="cpu", half=False)


@pytest.fixture(scope="module")
def bundled() -> Nano:
    return Nano.bundled(device="cpu", half=False)


def test_keeps_both_contracts(nano: Nano) -> None:
    assert isinstance(nano, PromptModel)
    assert isinstance(nano.token_encoder(), TokenEncoder)


@pytest.mark.parametrize("shape", [(8, 8), (100, 37), (256, 256), (300, 16)])
def test_encodes_views_of_any_size(nano: Nano, shape: tuple[int, int]) -> None:
    view = torch.rand(1, 1, *shape)
    emb = nano.encode(view)
    assert isinstance(emb, Embedding)
    assert emb.input_size == shape
    assert emb.tokens is not None
    assert emb.image.shape[-2:] == tuple(-(-s // 16) for s in shape)
    tokens = nano.token_encoder().encode(view)
    assert tokens.shape == (1, 16, -(-shape[0] // 4), -(-shape[1] // 4))
    assert torch.allclose(tokens.norm(dim=1), torch.ones(()), atol=1e-4)


def test_tokens_do_not_depend_on_the_place(nano: Nano) -> None:
    """A pattern that fills the view looks the same in its middle and beside it."""
    stripes = (torch.arange(512) // 8 % 2).float().expand(1, 1, 512, 512)
    tokens = nano.token_encoder().encode(stripes)[0]
    middle, aside = tokens[:, 64, 60:68], tokens[:, 64, 76:84]  # 64 px = 4 periods on
    assert torch.allclose(middle, aside, atol=2e-3)


def test_every_prompt_gives_masks_on_the_grid(nano: Nano) -> None:
    emb = nano.encode(torch.rand(1, 1, 64, 96))
    points, labels = torch.tensor([[[20.0, 30.0], [50, 60]]]), torch.tensor([[1, 0]])
    boxes = torch.tensor([[10.0, 10, 40, 50]])
    three, score = nano.decode(emb, points, labels)
    assert three.shape == (1, 3, 16, 24)
    assert score.shape == (1, 3)
    assert bool(((score >= 0) & (score <= 1)).all())
    one, _ = nano.decode(emb, points, labels, boxes, three[:, :1], multimask=False)
    assert one.shape == (1, 1, 16, 24)
    assert nano.decode(emb, boxes=boxes)[0].shape == (1, 3, 16, 24)
    assert nano.decode(emb, masks=one)[0].shape == (1, 3, 16, 24)


def test_many_prompts_at_once_are_those_one_by_one(nano: Nano) -> None:
    emb = nano.encode(torch.rand(1, 1, 64, 64))
    points = torch.rand(7, 3, 2) * 63
    labels = torch.tensor([[1, 0, -1]]).expand(7, -1)
    together, _ = nano.decode(emb, points, labels)
    alone = [
        nano.decode(emb, points[i : i + 1], labels[i : i + 1])[0] for i in range(7)
    ]
    assert torch.allclose(together, torch.cat(alone), atol=1e-3)


def test_padding_points_change_nothing_in_the_maps() -> None:
    tokens = torch.nn.functional.normalize(torch.randn(1, 8, 16, 16), dim=1)
    points = torch.tensor([[[9.0, 9.0], [50, 3]]])
    labels = torch.tensor([[1, -1]])
    with_pad = prompt_maps(tokens, points, labels, None)
    without = prompt_maps(tokens, points[:, :1], labels[:, :1], None)
    assert torch.allclose(with_pad, without, atol=1e-5)
    assert torch.equal(origins(points, labels), points[:, 0])


def test_no_prompt_is_refused_with_a_sentence(nano: Nano) -> None:
    emb = nano.encode(torch.rand(1, 1, 32, 32))
    with pytest.raises(ModelError, match="needs a click"):
        nano.decode(emb)


def test_weights_survive_the_disk(nano: Nano, tmp_path: Path) -> None:
    path = tmp_path / "nano.safetensors"
    save_nano(nano.net, path)
    again = Nano.from_file(path, device="cpu", half=False)
    view = torch.rand(1, 1, 64, 64)
    assert torch.allclose(again.encode(view).image, nano.encode(view).image, atol=0.05)
    assert Nano.from_file(path, device="cpu", half=False).key == again.key
    assert again.key != nano.key, "half precision is another content"


def test_foreign_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not of the sesami-nano kind"):
        Nano.from_state({"x": torch.zeros(1)}, {})
    with pytest.raises(ModelError, match="do not fit"):
        Nano.from_state({"x": torch.zeros(1)}, {"nano": json.dumps({"dim": 32})})


def test_bundle_is_small_and_described() -> None:
    weights = WEIGHTS / f"{NAME}.safetensors"
    assert weights.stat().st_size < 25e6
    card = json.loads((WEIGHTS / f"{NAME}.json").read_text())
    assert card["licence"] == "BSD-3-Clause"


def test_bundled_model_finds_a_disc_by_click_and_by_box(bundled: Nano) -> None:
    y, x = np.mgrid[:256, :256]
    disc = np.hypot(y - 120, x - 140) < 40
    rng = np.random.default_rng(0)
    image = 0.3 + 0.4 * disc + 0.05 * rng.standard_normal(disc.shape)
    emb = bundled.encode(torch.from_numpy(image).float()[None, None])
    truth = torch.from_numpy(disc[2::4, 2::4])
    click, score = bundled.decode(
        emb, torch.tensor([[[120.0, 140.0]]]), torch.ones(1, 1)
    )
    boxed, _ = bundled.decode(
        emb, boxes=torch.tensor([[80.0, 100, 160, 180]]), multimask=False
    )
    for logits in (click[0, score[0].argmax()], boxed[0, 0]):
        found = logits > 0
        assert (found & truth).sum() / (found | truth).sum() > 0.85


def test_bundled_tokens_tell_two_textures_apart(bundled: Nano) -> None:
    rng = np.random.default_rng(1)
    image = 0.5 + 0.02 * rng.standard_normal((256, 256))
    image[:, 128:] += 0.25 * np.sign(np.sin(np.arange(128) * 0.8))
    tokens = bundled.token_encoder().encode(
        torch.from_numpy(image).float()[None, None]
    )[0]
    left, right = tokens[:, 8:56, 8:24].flatten(1), tokens[:, 8:56, 40:56].flatten(1)
    same = (left.mean(1) @ left).mean()
    other = (left.mean(1) @ right).mean()
    assert same - other > 0.2


@pytest.mark.benchmark
def test_encodes_a_1024_view_within_a_second(bundled: Nano) -> None:
    import time

    fast = Nano.bundled(device="cpu")
    view = torch.rand(1, 1, 1024, 1024)
    fast.encode(view)
    began = time.perf_counter()
    fast.encode(view)
    assert time.perf_counter() - began < 1.0
