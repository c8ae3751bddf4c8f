"""bfloat16 where the processor is made for it; the answers and the files fit both."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sesami.models import (
    add_lora,
    choose_precision,
    save_adapter,
    use_adapter,
    weights_key,
)
from napari_sesami.models.adapters import describe
from napari_sesami.models.nano.model import Nano
from napari_sesami.retrieve import (
    BankCard,
    BankFile,
    TokenStore,
    fitting_zoom,
    load_bank,
    save_bank,
    touched_rows,
)
from napari_sesami.scan import Scan

COSINE = 0.9998  # of tokens in bfloat16 and in float32, the worst of a view
CLOSE = 0.02  # of logits in bfloat16 and in float32, relative to their spread


@pytest.fixture(scope="module")
def models() -> dict[bool, Nano]:
    return {half: Nano.bundled(device="cpu", half=half) for half in (False, True)}


@pytest.mark.parametrize(
    ("amx", "bf16", "half", "word"),
    [
        (True, True, True, "AMX"),
        (False, True, True, "AVX-512 BF16"),
        (False, False, False, "neither"),
    ],
)
def test_a_processor_is_used_as_it_is_made(monkeypatch, amx, bf16, half, word):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    found = choose_precision("cpu")
    assert found.half is half and word in found.reason
    assert not choose_precision("mps").half


def test_both_precisions_have_their_caches_and_the_same_weights(models):
    assert models[True].key != models[False].key
    assert models[True].weights_key == models[False].weights_key
    tokens = [models[half].token_encoder() for half in (False, True)]
    assert weights_key(tokens[0]) == weights_key(tokens[1])
    scan = Scan.from_array(np.zeros((64, 64), np.uint8))
    assert TokenStore(scan, tokens[0]).key != TokenStore(scan, tokens[1]).key


def test_an_embedding_means_the_same_in_both_precisions(models):
    """What one wrote the other may read: masks and tokens stay close."""
    torch.manual_seed(0)
    grey = torch.nn.functional.avg_pool2d(torch.rand(1, 1, 134, 134), 7, 1)
    emb = {half: model.encode(grey) for half, model in models.items()}
    cosine = (emb[True].tokens * emb[False].tokens).sum(1)
    assert cosine.min() > COSINE
    point, label = torch.tensor([[[60.0, 60.0]]]), torch.tensor([[1]])
    plain, _ = models[False].decode(emb[False], point, label)
    crossed, _ = models[False].decode(emb[True], point, label)
    back, _ = models[True].decode(emb[False], point, label)
    for other in (crossed, back):
        assert (other - plain).abs().mean() < CLOSE * plain.std()


@pytest.mark.parametrize("wrote", [False, True])
def test_a_bank_of_one_processor_labels_on_another(models, wrote, tmp_path):
    rng = np.random.default_rng(0)
    truth = np.repeat([1, 2], 64)[:, None] * np.ones((1, 128), int)
    grey = (100 * truth + 10 * rng.normal(size=truth.shape)).astype(np.uint16)
    scan = Scan.from_array(grey)
    ours, theirs = (models[h].token_encoder() for h in (wrote, not wrote))
    strokes = np.zeros((128, 128), np.uint8)
    strokes[20:23, 10:90], strokes[100:103, 10:90] = 1, 2
    rows = touched_rows(strokes, TokenStore(scan, ours).plane(0), 0, 1)
    card = BankCard.of(scan, ours, 4, ())
    save_bank(tmp_path / "a.bank", BankFile(rows, card))
    bank = load_bank(tmp_path / "a.bank")
    assert fitting_zoom(bank.card, scan, theirs) == 1
    tokens = TokenStore(scan, theirs).plane(0)
    here = touched_rows(strokes, tokens, 0, 1).tokens
    assert (here * bank.rows.tokens).sum(1).min() > COSINE - 1e-3


@pytest.mark.parametrize("wrote", [False, True])
def test_an_adapter_of_one_processor_fits_another(wrote, tmp_path):
    source, target = (Nano.bundled(device="cpu", half=h) for h in (wrote, not wrote))
    add_lora(source, rank=8, blocks=(0,), alpha=8.0)
    path = save_adapter(tmp_path / "a.safetensors", source, describe(source))
    use_adapter(target, path)
    source.rekey()
    assert target.weights_key == source.weights_key
