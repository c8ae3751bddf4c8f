"""LoRA: strictly query and value, never merged, and a file that fits one base."""

from __future__ import annotations

import pytest
import torch

from napari_sesami.models import (
    ModelError,
    Nano,
    NanoNet,
    add_lora,
    build_tiny_sam,
    catalog,
    describe,
    free_decoder,
    last_blocks,
    load_prompt_model,
    net_of,
    pairs,
    read_card,
    remove_lora,
    save_adapter,
    use_adapter,
)
from napari_sesami.models.lora import base_hash, fitting_rank, trained_share


def tiny_nano(seed: int = 0) -> Nano:
    torch.manual_seed(seed)
    net = NanoNet(dim=32, token_dim=16, widths=(8, 16, 32), depth=3, heads=4, window=4)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return Nano(net, "tiny-nano", device="cpu", half=False)


MODELS = {"nano": tiny_nano, "sam": build_tiny_sam}
VIEW = torch.linspace(0, 1, 96 * 80).reshape(1, 1, 96, 80)
CLICK = torch.tensor([[[30.0, 40.0]]]), torch.tensor([[1]])


def answer(model):
    return model.decode(model.encode(VIEW), *CLICK)[0]


def shake(model, seed=1):
    """As after training: pairs that change the answer, none in the key's rows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, pair in pairs(net_of(model)):
            b = pair.lora_B["default"].weight
            b.copy_(torch.randn(b.shape, generator=generator) * 0.3)
            d = b.shape[0] // 3
            b[d : 2 * d] = 0
    model.rekey()


def train(model, steps=4):
    net = net_of(model)
    free = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(free, lr=0.05, weight_decay=0.1)
    for _ in range(steps):
        if isinstance(model, Nano):
            image, tokens = net.image_encoder(VIEW)
            loss = image.square().mean() + (tokens - 1).square().mean()
        else:
            loss = (model.encoder(VIEW) - 1).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.rekey()


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]()


def test_answers_are_unchanged_until_something_is_trained(model):
    before = answer(model)
    add_lora(model, 4)
    assert torch.equal(answer(model), before)


def test_query_and_value_learn_and_the_key_never_does(model):
    add_lora(model, 4)
    train(model)
    for _, pair in pairs(net_of(model)):
        q, k, v = pair.lora_B["default"].weight.detach().chunk(3)
        assert not k.any()
        assert q.any() and v.any()


def test_the_fast_paths_honour_the_pairs(model):
    before = answer(model)
    add_lora(model, 4)
    shake(model)
    assert (answer(model) - before).abs().max() > 1e-3


def test_fast_sam_with_lora_equals_segment_anything_with_the_same_pairs():
    model = build_tiny_sam()
    add_lora(model, 4)
    shake(model)
    view = VIEW[..., :80, :]
    mean, std = (t.view(1, 3, 1, 1) for t in (model.encoder.mean, model.encoder.std))
    full = torch.zeros(1, 3, model.tile, model.tile)
    full[..., :80, :80] = (view.expand(-1, 3, -1, -1) - mean) / std
    with torch.no_grad():
        slow = model.sam.image_encoder(full)
    assert torch.allclose(model.encode(view).image, slow, atol=1e-4)


def test_taking_it_off_gives_the_base_back_bit_for_bit(model):
    before, key = answer(model), model.key
    add_lora(model, 4)
    train(model)
    assert model.key != key
    remove_lora(model)
    assert model.key == key
    assert torch.equal(answer(model), before)


def test_a_trained_decoder_is_taken_back_too(model):
    before, key = answer(model), model.key
    add_lora(model, 4)
    free_decoder(model)
    with torch.no_grad():
        for parameter in net_of(model).mask_decoder.parameters():
            parameter.add_(0.1)
    model.rekey()
    assert not torch.equal(answer(model), before)
    remove_lora(model)
    assert model.key == key
    assert torch.equal(answer(model), before)


@pytest.mark.parametrize("decoder", [False, True])
def test_a_file_brings_the_same_answers_to_a_fresh_base(model, tmp_path, decoder):
    add_lora(model, 4, last_blocks(model, 1), seed=3)
    shake(model)
    if decoder:
        free_decoder(model)
        with torch.no_grad():
            for parameter in net_of(model).mask_decoder.parameters():
                parameter.mul_(1.1)
        model.rekey()
    card = describe(model, classes=("void",), metrics={"mIoU": 0.5})
    path = save_adapter(tmp_path / "a.safetensors", model, card)
    fresh = MODELS["nano" if isinstance(model, Nano) else "sam"]()
    base = fresh.key
    told = use_adapter(fresh, path)
    assert told == read_card(path)
    assert told.classes == ("void",) and told.metrics == {"mIoU": 0.5}
    assert fresh.adapter == told
    assert fresh.key == model.key != base
    assert torch.equal(answer(fresh), answer(model))
    use_adapter(fresh, None)
    assert fresh.key == base and fresh.adapter is None


def test_switching_among_adapters_merges_nothing(tmp_path):
    model = tiny_nano()
    paths = []
    for seed in (1, 2):
        add_lora(model, 4)
        shake(model, seed)
        paths.append(
            save_adapter(tmp_path / f"{seed}.safetensors", model, describe(model))
        )
    seen = []
    for path in (paths[0], paths[1], None, paths[0]):
        use_adapter(model, path)
        seen.append((model.key, answer(model)))
    assert len({key for key, _ in seen}) == 3
    assert seen[0][0] == seen[3][0]
    assert torch.equal(seen[0][1], seen[3][1])


def test_an_adapter_of_another_base_is_refused_and_changes_nothing(tmp_path):
    model = tiny_nano()
    add_lora(model, 4)
    shake(model)
    path = save_adapter(tmp_path / "mine.safetensors", model, describe(model))
    other = tiny_nano(seed=5)
    key = other.key
    with pytest.raises(
        ModelError, match=r"mine was trained on tiny-nano.*another vers"
    ):
        use_adapter(other, path)
    with pytest.raises(ModelError, match="does not fit tiny-sam-0"):
        use_adapter(build_tiny_sam(), path)
    assert other.key == key


def test_the_base_is_known_at_another_view_size():
    state = build_tiny_sam().sam.state_dict()
    from napari_sesami.models import SamModel

    one = SamModel.from_state(state, "tiny", device="cpu")
    two = SamModel.from_state(state, "tiny", 64, device="cpu")
    assert base_hash(one) == base_hash(two)
    assert one.key != two.key


def test_the_scale_of_the_pairs_is_part_of_the_key():
    keys = []
    for alpha in (4.0, 8.0):
        model = tiny_nano()
        add_lora(model, 4, alpha=alpha)
        shake(model)
        keys.append(model.key)
    assert keys[0] != keys[1]


def test_the_bundled_model_trains_between_one_and_two_percent():
    model = Nano.bundled(device="cpu")
    lora = add_lora(model)
    number, share = trained_share(model)
    assert lora.rank == 24 and len(lora.blocks) == 6
    assert number == 24 * 6 * 3 * 256
    assert 0.01 < share < 0.02


def test_fewer_blocks_get_wider_pairs():
    model = tiny_nano()
    assert fitting_rank(model, (2,)) >= fitting_rank(model, (0, 1, 2))
    assert last_blocks(model, 1) == (2,)
    assert last_blocks(model, 0) == (0, 1, 2)
    with pytest.raises(ModelError, match="has 3 encoder blocks; 9"):
        last_blocks(model, 9)


def test_files_that_are_no_adapter_are_told_in_a_sentence(tmp_path):
    model = Nano.bundled(device="cpu")
    with pytest.raises(ModelError, match="There is no adapter"):
        use_adapter(model, tmp_path / "gone.safetensors")
    with pytest.raises(ModelError, match="weights but no adapter"):
        use_adapter(model, catalog.find("sesami-nano").path)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights at all")
    with pytest.raises(ModelError, match="cut short or no adapter"):
        use_adapter(model, broken)


def test_the_loader_takes_an_adapter_and_refuses_one_as_a_model(tmp_path, monkeypatch):
    monkeypatch.setenv("SESAMI_HOME", str(tmp_path / "home"))
    model = load_prompt_model(device="cpu")
    add_lora(model)
    shake(model)
    path = save_adapter(tmp_path / "a.safetensors", model, describe(model))
    assert path.stat().st_size < 3e6
    again = load_prompt_model(device="cpu", adapter=path)
    assert again.key == model.key
    with pytest.raises(ModelError, match="is an adapter, no model"):
        load_prompt_model(path)
    with pytest.raises(ModelError, match="An adapter is no model"):
        catalog.import_file(path)
