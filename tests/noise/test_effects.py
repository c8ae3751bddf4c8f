"""The physics of the noise effects, measured on their output."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_sesami import noise
from napari_sesami.noise import NoiseError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(grey: float = 0.5, side: int = 256, batch: int = 1) -> torch.Tensor:
    return torch.full((batch, 1, side, side), grey)


def blocks(side: int = 128, batch: int = 1) -> torch.Tensor:
    image = torch.full((batch, 1, side, side), 0.3)
    image[:, :, side // 5 : side // 3, side // 5 : side // 2] = 0.9
    image[:, :, side // 2 :, side // 2 :] = 0.6
    return image


ALL = [
    noise.Background(), noise.Blur(1.5, 1.5), noise.Charging(), noise.Compression(40),
    noise.CompoundPoisson(), noise.Contamination(), noise.Contrast(),
    noise.Curtaining(),
    noise.Curtaining(angle_deg=7.0, contrast="bf"), noise.DarkCurrent(),
    noise.DataBar(),
    noise.Deformation(), noise.Drift(), noise.EdgeBloom(), noise.Gain(), noise.Gamma(),
    noise.HotPixels(), noise.LineBanding(), noise.Quantise(4), noise.ReadOut(),
    noise.ScaleBar(), noise.ScanJitter(), noise.Scintillator(), noise.Sharpen(),
    noise.ShotNoise(), noise.ThicknessWedge(), noise.Specks(), noise.Glare(),
    noise.Shadow(), noise.ColourCast(), noise.Streaks(), noise.Charging(coarse=4),
]  # fmt: skip


@pytest.mark.parametrize("effect", ALL, ids=lambda e: type(e).__name__)
def test_every_effect_keeps_the_contract(effect):
    image = blocks(batch=2)
    result = effect(image, seeded(1))
    again = effect(image, seeded(1))
    assert result.image.shape == image.shape
    assert result.image.dtype == image.dtype
    assert 0 <= result.image.min() <= result.image.max() <= 1
    assert torch.isfinite(result.image).all()
    assert not torch.equal(result.image, image)
    assert torch.equal(result.image, again.image)
    given = {k: v for k, v in vars(effect).items() if v is not None}
    assert result.params.items() >= given.items()
    if result.displacement is not None:
        assert result.displacement.shape == (2, 2, 128, 128)
    if result.ignore is not None:
        assert result.ignore.shape == image.shape
        assert result.ignore.dtype == torch.bool


@pytest.mark.parametrize("effect", ALL, ids=lambda e: type(e).__name__)
def test_every_effect_takes_images_of_odd_and_small_shapes(effect):
    result = effect(blocks()[:, :, :37, :51], seeded())
    assert result.image.shape == (1, 1, 37, 51)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("effect", ALL, ids=lambda e: type(e).__name__)
def test_cpu_and_gpu_agree_with_the_same_generator(effect):
    image = blocks(batch=2)
    here = effect(image, seeded(3)).image
    there = effect(image.cuda(), seeded(3)).image.cpu()
    # a rounding difference may move single counts or grey levels
    assert (here - there).abs().mean() < 1e-3


def test_shot_noise_variance_is_the_mean_over_the_dose():
    dose = 400.0
    means, variances = [], []
    for grey in (0.01, 0.03, 0.1, 0.3, 0.6):
        counted = noise.ShotNoise(dose)(flat(grey), seeded()).image
        means.append(counted.mean().item())
        variances.append(counted.var().item())
    slope, offset = np.polyfit(means, variances, 1)
    assert means == pytest.approx([0.01, 0.03, 0.1, 0.3, 0.6], rel=0.01)
    assert slope * dose == pytest.approx(1, rel=0.03)
    assert abs(offset) < 1e-5


@pytest.mark.parametrize("rate", [0.2, 2.0, 11.5, 12.5, 60.0])
def test_counts_follow_the_poisson_law(rate):
    # a twentieth of full scale, so that next to nothing is clipped
    counts = noise.ShotNoise(20 * rate)(flat(0.05, 512), seeded()).image * 20 * rate
    expected = rate
    assert counts.mean().item() == pytest.approx(expected, rel=0.01)
    assert counts.var().item() == pytest.approx(expected, rel=0.02)
    nothing = (counts == 0).float().mean().item()
    assert nothing == pytest.approx(math.exp(-expected), abs=0.003)


def test_compound_counting_is_noisier_than_poisson_by_the_yield():
    dose, se_yield = 100.0, 0.8
    image = noise.CompoundPoisson(dose, se_yield)(flat(0.3), seeded()).image
    detected = image * dose * se_yield
    expected = detected.mean().item() * (1 + se_yield)
    assert detected.var().item() == pytest.approx(expected, rel=0.03)


def test_scintillator_colours_the_noise():
    chain = noise.Chain((noise.ShotNoise(200), noise.Scintillator(1.0)))
    grain = chain(flat(), seeded()).image[0, 0] - 0.5
    neighbours = (grain[:, 1:] * grain[:, :-1]).mean() / grain.var()
    assert neighbours.item() == pytest.approx(math.exp(-1 / 4), abs=0.05)


def test_dark_current_leaves_the_mean_and_adds_its_own_variance():
    image = noise.DarkCurrent(9.0, full_scale=300)(flat(), seeded()).image
    assert image.mean().item() == pytest.approx(0.5, abs=1e-3)
    assert image.std().item() * 300 == pytest.approx(3.0, rel=0.03)


def test_read_out_does_not_depend_on_the_signal():
    for grey in (0.2, 0.8):
        image = noise.ReadOut(6.0, full_scale=600)(flat(grey), seeded()).image
        assert image.std().item() == pytest.approx(0.01, rel=0.03)


def test_gain_pattern_belongs_to_the_detector_not_to_the_generator():
    one = noise.Gain(detector=4)(flat(batch=2), seeded(1)).image
    two = noise.Gain(detector=4)(flat(batch=2), seeded(2)).image
    assert torch.equal(one, two)
    assert torch.equal(one[0], one[1])
    assert not torch.equal(one, noise.Gain(detector=5)(flat(batch=2), seeded(1)).image)


def test_hot_pixels_come_in_the_fraction_asked_for():
    image = noise.HotPixels(0.01, 0.005, 0.0)(flat(side=512), seeded()).image
    assert (image == 1).float().mean().item() == pytest.approx(0.01, rel=0.1)
    assert (image == 0).float().mean().item() == pytest.approx(0.005, rel=0.1)


def column_and_row_unevenness(image: torch.Tensor) -> tuple[float, float]:
    return image.mean(2).std().item(), image.mean(3).std().item()


def test_curtains_run_down_the_beam():
    effect = noise.Curtaining(0.1, everywhere=1.0)
    across, along = column_and_row_unevenness(effect(flat(), seeded()).image)
    assert across > 20 * along


def test_curtains_turn_with_the_milling_direction():
    image = noise.Curtaining(0.1, angle_deg=20, everywhere=1.0)(flat(), seeded()).image
    spectrum = torch.fft.fft2(image[0, 0] - image.mean()).abs() ** 2
    fy = torch.fft.fftfreq(256)[:, None].expand(256, 256)
    fx = torch.fft.fftfreq(256)[None, :].expand(256, 256)
    # streaks are long across the direction in which the spectrum is wide
    cov = (spectrum * fx * fy).sum() / (spectrum * fx * fx).sum()
    assert math.degrees(math.atan(abs(cov.item()))) == pytest.approx(20, abs=4)


def test_curtains_start_below_hard_objects():
    image = torch.full((1, 1, 256, 256), 0.3)
    image[:, :, 60:90, 80:180] = 0.9
    effect = noise.Curtaining(0.1, everywhere=0.0, fade_px=60)
    change = (effect(image, seeded()).image - image).abs()[0, 0]
    below, above = change[95:140, 80:180].mean(), change[:55, 80:180].mean()
    beside = change[95:140, :60].mean()
    assert below > 20 * above
    assert below > 20 * beside
    assert below > 1.3 * change[200:, 80:180].mean()


def test_a_thicker_lamella_is_brighter_in_haadf_and_darker_in_bright_field():
    for contrast, sign in (("haadf", 1), ("bf", -1)):
        effect = noise.ThicknessWedge(0.3, direction_deg=0, contrast=contrast)
        image = effect(flat(), seeded()).image[0, 0]
        assert sign * (image[:, -1].mean() - image[:, 0].mean()) > 0.05


def test_contamination_covers_the_area_asked_for():
    change = (noise.Contamination(0.05, 0.2)(flat(), seeded()).image - 0.5)[0, 0]
    assert (change > 0.02).float().mean().item() == pytest.approx(0.05, abs=0.015)


MOVERS = [
    noise.Deformation(3.0), noise.Drift(6.0), noise.ScanJitter(1.0),
    noise.Chain((noise.Deformation(3.0), noise.ScanJitter(0.8), noise.Drift(5.0))),
]  # fmt: skip


@pytest.mark.parametrize("effect", MOVERS, ids=lambda e: type(e).__name__)
def test_labels_move_exactly_as_the_image_does(effect):
    labels = (blocks(192, 2)[:, 0] * 10).round().long()
    image = labels[:, None].float() / 10
    result = effect(image, seeded(5))
    moved = noise.displace_labels(labels, result.displacement)
    assert (moved != labels).float().mean() > 0.002
    wrong = (result.image[:, 0] * 10 - moved).abs() > 4.5
    assert wrong.float().mean() < 5e-4
    unmoved = (result.image[:, 0] * 10 - labels).abs() > 2.5
    assert unmoved.sum() > 10 * wrong.sum()


def test_displacement_points_to_where_a_pixel_came_from():
    image = torch.rand((1, 1, 40, 40), generator=seeded())
    shift = torch.zeros((1, 2, 40, 40))
    shift[:, 0], shift[:, 1] = 3, -2
    out = noise.warp(image, shift)
    assert torch.allclose(out[..., 5:30, 5:30], image[..., 8:33, 3:28], atol=1e-5)
    labels = (image[:, 0] * 100).long()
    moved = noise.displace_labels(labels, shift)
    assert torch.equal(moved[:, 5:30, 5:30], labels[:, 8:33, 3:28])


def test_jitter_has_the_amplitude_asked_for_and_is_alike_along_a_row():
    shift = noise.ScanJitter(0.7, components=12)(flat(batch=8), seeded()).displacement
    assert shift.square().mean().sqrt().item() == pytest.approx(0.7, rel=0.15)
    within_rows = shift.diff(dim=3).abs().mean()
    between_rows = shift.diff(dim=2).abs().mean()
    assert between_rows > 20 * within_rows


def test_drift_grows_from_the_first_to_the_last_row():
    shift = noise.Drift(4.0, wander=0, direction_deg=90)(flat(), seeded()).displacement
    assert (shift[0, 0, -1, 0] - shift[0, 0, 0, 0]).item() == pytest.approx(4, rel=0.01)
    assert shift[0, 1].abs().max() < 1e-5


def test_banding_changes_rows_only():
    across, along = column_and_row_unevenness(
        noise.LineBanding(0.05)(flat(), seeded()).image
    )
    assert along > 100 * across


def test_blur_is_longer_along_its_axis():
    dot = torch.zeros((1, 1, 65, 65))
    dot[..., 32, 32] = 1
    spot = noise.Blur(2.0, 2.0, angle_deg=90)(dot, seeded()).image[0, 0]
    at = torch.arange(65) - 32.0
    tall = (spot.sum(1) * at**2).sum().sqrt()
    wide = (spot.sum(0) * at**2).sum().sqrt()
    assert tall / wide == pytest.approx(2.0, rel=0.03)
    assert tall * wide == pytest.approx(4.0, rel=0.05)


def test_charging_leaves_a_dark_tail_in_scan_direction():
    image = torch.full((1, 1, 128, 128), 0.4)
    image[:, :, 50:70, 30:50] = 1.0
    out = noise.Charging(0, 0.4, 30, 0, 10)(image, seeded()).image[0, 0]
    assert out[55:65, 52:60].mean() < 0.99 * 0.4
    assert out[55:65, 15:28].mean().item() == pytest.approx(0.4, abs=1e-3)


def test_edges_bloom_and_plains_do_not():
    image = blocks(128)
    change = (noise.EdgeBloom(0.2, 3.0)(image, seeded()).image - image)[0, 0]
    assert change[25, 40] > 0.03  # an upper edge of the bright block
    assert change[100, 15].abs() < 1e-3


def test_compression_is_worse_at_low_quality_and_good_at_high():
    image = noise.ShotNoise(300)(blocks(), seeded()).image
    errors = [
        (noise.Compression(q)(image, seeded()).image - image).square().mean().item()
        for q in (10, 50, 98)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-5


def test_quantise_leaves_so_many_grey_levels():
    image = torch.rand((1, 1, 64, 64), generator=seeded())
    assert len(noise.Quantise(3)(image, seeded()).image.unique()) == 8


@pytest.mark.parametrize("boxed", [False, True])
@pytest.mark.parametrize("corner", ["lower left", "upper right"])
def test_scale_bar_is_ignored_exactly_where_it_is_drawn(boxed, corner):
    effect = noise.ScaleBar(2.0, 0.2, corner, boxed)
    result = effect(flat(0.5), seeded())
    changed = result.image != 0.5
    assert torch.equal(changed, result.ignore)
    assert result.params["label"] == "100nm"
    longest = max((row.sum().item() for row in (result.image[0, 0] == 1)), default=0)
    assert longest == 50  # 100 nm at 2 nm per pixel


def test_data_bar_is_ignored_as_a_whole():
    result = noise.DataBar(0.1)(flat(0.5, 200, 2), seeded())
    rows = result.ignore.all(3)
    assert rows.sum(2).flatten().tolist() == [20, 20]
    assert rows[:, :, -20:].all()
    assert torch.equal(result.image[~result.ignore], flat(0.5, 200, 2)[~result.ignore])


def test_chain_adds_up_masks_and_parameters():
    chain = noise.Chain(
        (noise.ScaleBar(), noise.DataBar(), noise.ReadOut(), noise.ReadOut())
    )
    result = chain(blocks(batch=2), seeded())
    assert set(result.params) == {"ScaleBar", "DataBar", "ReadOut", "ReadOut#2"}
    alone = noise.DataBar()(blocks(batch=2), seeded()).ignore
    bar = noise.ScaleBar()(blocks(batch=2), seeded()).ignore
    assert torch.equal(result.ignore, alone | bar)


@pytest.mark.parametrize("modality", ["haadf", "bf", "sem"])
def test_random_chains_are_repeatable_and_grow_with_strength(modality):
    image = blocks(128)
    worse = 0
    for seed in range(6):
        errors = []
        for strength in (0.2, 2.0):
            chain = noise.random_chain(
                seeded(seed), modality, strength, groups=("machine",), marks=False
            )
            result = chain(image, seeded(seed))
            assert torch.equal(result.image, chain(image, seeded(seed)).image)
            errors.append((result.image - image).square().mean().item())
        worse += errors[1] > errors[0]
    assert worse == 6


def test_random_chain_takes_only_effects_of_the_groups():
    for seed in range(5):
        chain = noise.random_chain(seeded(seed), "haadf", groups=("sample",))
        assert all(effect.group == "sample" for effect in chain.effects)


@pytest.mark.parametrize(
    "image",
    [
        torch.zeros(4, 4),
        torch.zeros(1, 3, 8, 8),
        torch.zeros(1, 1, 8, 8, dtype=torch.uint8),
    ],
    ids=["2-D", "colour", "integers"],
)
def test_other_images_are_refused_with_a_sentence(image):
    with pytest.raises(NoiseError, match=r"float image batch of shape \(B, 1, H, W\)"):
        noise.ShotNoise()(image, seeded())


def test_impossible_numbers_are_refused_with_a_sentence():
    with pytest.raises(NoiseError, match="electrons > 0"):
        noise.ShotNoise(0)(flat(), seeded())
    with pytest.raises(NoiseError, match="haadf, bf or sem"):
        noise.random_chain(seeded(), "xrm")
    with pytest.raises(NoiseError, match="cannot follow"):
        noise.displace_labels(torch.zeros(1, 4, 4), torch.zeros(1, 2, 5, 5))
