"""Noise as augmentation: three sets an instrument, never idle, labels that follow."""

from __future__ import annotations

import pytest
import torch

from napari_sesami import noise
from napari_sesami.noise import NoiseError

NAMED = {
    "haadf": [
        "Contamination Deformation Specks Curtaining ThicknessWedge",
        "ShotNoise DarkCurrent Gain HotPixels ReadOut Drift ScanJitter",
        "ScaleBar Compression Gamma Contrast",
    ],
    "bf": [
        "Contamination Deformation Specks",
        "ShotNoise DarkCurrent Gain HotPixels Scintillator",
        "ScaleBar",
    ],
    "sem": [
        "Charging Contamination EdgeBloom",
        "LineBanding Blur Drift ScanJitter CompoundPoisson",
        "ScaleBar DataBar",
    ],
    "xrm": ["BeamHardening", "Rings Streaks CountingNoise", "ScaleBar"],
    "aoi": ["Contamination Specks", "Glare Shadow ColourCast", "ScaleBar Compression"],
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scene(batch: int = 6, side: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw blocks whose label can be read off their grey value."""
    labels = torch.zeros((batch, side, side), dtype=torch.long)
    labels[:, side // 6 : side // 2, side // 5 : side // 2] = 2
    labels[:, side // 2 :, side // 2 :] = 1
    return 0.2 + 0.3 * labels[:, None].float(), labels


@pytest.mark.parametrize("instrument", noise.INSTRUMENTS)
def test_each_set_is_active_on_each_image_and_repeats(instrument):
    images, labels = scene()
    kept = images.clone()
    for effects, some in zip(
        NAMED[instrument], noise.strong_sets(instrument), strict=True
    ):
        drawn = {
            type(part.draw(noise.Dice(seeded(n), 1.0))).__name__
            for part in some.parts
            for n in range(2)
        }
        assert set(effects.split()) <= drawn
        for seed in range(3):
            out = some(images, labels, None, seeded(seed))
            again = some(images, labels, None, seeded(seed))
            changed = (out.images - images).abs().amax((1, 2, 3))
            assert changed.min() > 0.02, (some.name, seed)
            assert torch.isfinite(out.images).all()
            assert 0 <= out.images.min() <= out.images.max() <= 1
            assert torch.equal(out.images, again.images)
            assert out.labels.dtype == labels.dtype
            assert out.accepted.dtype == torch.bool
            assert out.accepted.flatten(1).float().mean(1).min() > 0.6
        assert not torch.equal(some(images, None, None, seeded(9)).images, out.images)
    assert torch.equal(images, kept)


def test_post_burns_a_scale_bar_into_every_image():
    images, labels = scene()
    for instrument in noise.INSTRUMENTS:
        out = noise.strong_sets(instrument).post(images, labels, None, seeded(1))
        assert (~out.accepted).flatten(1).any(1).all()


def test_labels_and_masks_move_with_the_image():
    images, labels = scene(batch=4, side=128)
    accepted = labels > 0
    moving = noise.NoiseSet(
        "machine",
        (
            noise.SetPart(lambda d: noise.Drift(12.0), share=1.0),
            noise.SetPart(lambda d: noise.ScanJitter(2.0), share=1.0),
            noise.SetPart(lambda d: noise.Deformation(4.0), share=1.0),
        ),
    )
    out = moving(images, labels, accepted, seeded(2))
    read = ((out.images[:, 0] - 0.2) / 0.3).round().long()
    still = (read != labels).float().mean()
    assert still > 0.03
    # interpolation blurs the borders between blocks, nothing else
    assert (read != out.labels).float().mean() < 0.3 * still
    inside = out.accepted
    assert (out.labels[inside] > 0).all()
    lost = (out.labels > 0) & ~inside
    assert lost.float().mean() < 0.12


def test_pixels_from_outside_are_not_accepted():
    images, labels = scene(batch=2)
    moving = noise.NoiseSet(
        "machine",
        (noise.SetPart(lambda d: noise.Drift(20.0, 0.0, 0.0), share=1.0, least=1.0),),
    )
    out = moving(images, labels, None, seeded())
    assert not out.accepted[:, 0, :8].any()
    assert not out.accepted[:, -1, -8:].any()
    assert out.accepted[:, 48].all()


def test_colour_images_keep_three_channels_and_take_a_cast():
    images, labels = scene()
    colour = images.repeat(1, 3, 1, 1) * torch.tensor([1.0, 0.8, 0.6])[:, None, None]
    for some in noise.strong_sets("optical"):
        out = some(colour, labels, None, seeded(3))
        assert out.images.shape == colour.shape
        assert (out.images - colour).abs().amax((1, 2, 3)).min() > 0.02
    hue = noise.strong_sets("AOI").machine(colour, None, None, seeded(3)).images
    gains = hue.mean((2, 3)) / colour.mean((2, 3))
    assert (gains.amax(1) - gains.amin(1)).min() > 0.01


def test_specks_are_bright_small_and_sharp_and_in_every_image():
    images = torch.full((8, 1, 128, 128), 0.3)
    out = noise.Specks(density=0.5, tone=0.4, size_px=8)(images, seeded()).image
    metal = out > 0.6
    share = metal.flatten(1).float().mean(1)
    assert (share > 0).all()
    assert share.max() < 0.2
    rim = ((out > 0.31) & (out < 0.69)).flatten(1).float().mean(1)
    assert (rim < share).all()


def test_unfit_input_is_refused_in_a_sentence():
    images, labels = scene(batch=2)
    sets = noise.strong_sets("SEM")
    with pytest.raises(NoiseError, match="not for “AFM”"):
        noise.strong_sets("AFM")
    with pytest.raises(NoiseError, match="32 × 32"):
        sets.sample(images[..., :20], None, None, seeded())
    with pytest.raises(NoiseError, match="float images"):
        sets.sample((images * 255).byte(), None, None, seeded())
    with pytest.raises(NoiseError, match="labels must have the shape"):
        sets.sample(images, labels[:1], None, seeded())
    with pytest.raises(NoiseError, match="must be bool"):
        sets.sample(images, labels, labels, seeded())


def test_constant_images_give_finite_noise():
    for grey in (0.0, 1.0):
        images = torch.full((2, 1, 48, 64), grey)
        for instrument in noise.INSTRUMENTS:
            for some in noise.strong_sets(instrument, 2.0):
                assert torch.isfinite(some(images, None, None, seeded()).images).all()
