"""Data bars of electron microscopes are found, ordinary images are left alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from napari_sesami.scan import ScanError, find_data_bar, list_images, open_scan


def specimen(shape=(700, 1024), seed=0) -> np.ndarray:
    """Blobs and noise; its lowest rows are nothing special."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 215, (24, 32), dtype=np.uint8))
    smooth = np.asarray(
        coarse.resize(shape[::-1], Image.Resampling.BICUBIC), np.float32
    )
    return np.clip(smooth + rng.normal(0, 12, shape), 0, 255).astype(np.uint8)


def bar(
    width: int, height: int, ground: int, ink: int, frame: bool, scale=1.0
) -> Image:
    strip = Image.new("L", (width, height), ground)
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(size=max(9, int(height * 0.24 * scale)))
    for x, words in zip(
        (0.02, 0.2, 0.4, 0.6),
        ("EHT = 5.00 kV", "WD = 3.9 mm", "Mag = 50 K X", "SE2 200 nm"),
        strict=True,
    ):
        draw.text((x * width, 0.15 * height), words, fill=ink, font=font)
        draw.text((x * width, 0.58 * height), words[::-1], fill=ink, font=font)
    draw.line([(0.85 * width, 0.5 * height), (0.97 * width, 0.5 * height)], fill=ink)
    if frame:
        draw.rectangle([0, 0, width - 1, height - 1], outline=ink)
    return strip


@pytest.mark.parametrize("height", [28, 48, 64, 110])
@pytest.mark.parametrize("ground, ink", [(255, 0), (0, 255), (235, 20), (30, 250)])
@pytest.mark.parametrize("frame", [False, True])
def test_bars_of_all_makes_are_found_to_the_row(height, ground, ink, frame):
    width = 1024 if height > 30 else 512
    above = specimen((700, width), seed=height)
    image = np.vstack([above, np.asarray(bar(width, height, ground, ink, frame))])
    top = find_data_bar(image)
    assert top is not None
    assert abs(top - 700) <= 1


@pytest.mark.parametrize("quality", [75, 95])
def test_a_bar_survives_jpeg(quality):
    image = np.vstack([specimen(), np.asarray(bar(1024, 64, 0, 255, False))])
    file = io.BytesIO()
    Image.fromarray(image).save(file, "jpeg", quality=quality)
    top = find_data_bar(np.asarray(Image.open(file)))
    assert top is not None
    assert abs(top - 700) <= 8


def test_a_bar_in_sixteen_bits_is_found():
    image = np.vstack([specimen(), np.asarray(bar(1024, 64, 0, 255, True))])
    assert find_data_bar(image.astype(np.uint16) * 257) == 700


@pytest.mark.parametrize("seed", range(4))
def test_an_image_without_bar_has_none(seed):
    image = specimen(seed=seed)
    assert find_data_bar(image) is None
    assert find_data_bar(np.zeros_like(image)) is None
    stripes = np.where(np.arange(700)[:, None] > 640, 255, image).astype(np.uint8)
    assert find_data_bar(stripes) is None  # a bright layer, but no text


def test_a_grid_of_pads_is_no_text():
    image = specimen()
    image[600:] = 255
    for y in range(620, 690, 20):
        for x in range(10, 1000, 20):
            image[y : y + 10, x : x + 10] = 0
    top = find_data_bar(image)
    assert top is None or top > 590  # never into the specimen above


def test_opening_a_picture_masks_its_bar_and_keeps_it(tmp_path):
    image = np.vstack([specimen(), np.asarray(bar(1024, 64, 255, 0, True))])
    Image.fromarray(image).save(tmp_path / "a.png")
    scan = open_scan(tmp_path / "a.png")
    assert scan.shape == (764, 1024)
    assert scan.ignore is not None
    assert scan.ignore[700:].all()
    assert not scan.ignore[:699].any()
    assert scan.normalisation.hi < 255


def test_real_images_without_bar_raise_no_false_alarm(shared_data):
    pictures = [
        p
        for folder in ("nasa_ebc", "nasa_superalloy", "nasa_meltpool", "deeppcb")
        for p in sorted((shared_data / folder).rglob("*"))
        if p.suffix in (".png", ".jpg")
    ]
    assert len(pictures) > 60
    alarms = [p.name for p in pictures if open_scan(p).ignore is not None]
    assert alarms == []


def test_real_scans_without_bar_raise_no_false_alarm(shared_data):
    alarms = []
    for path in sorted((shared_data / "format_fixtures").rglob("*.*")):
        try:
            images = list_images(path)
        except ScanError:
            continue
        for image in images:
            if len(image.shape) == 2:
                plane = open_scan(path, image.key).plane(0)
                if find_data_bar(plane) is not None:
                    alarms.append(path.name)
    assert alarms == []
