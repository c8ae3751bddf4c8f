"""Ordinary pictures, and folders of slices."""

from __future__ import annotations

import pickle

import dask.array as da
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sesami.scan import ScanError, list_images, open_scan


@pytest.fixture
def grey() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (48, 64), dtype=np.uint8)


@pytest.fixture
def colour() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("extension", ["png", "bmp", "jpg"])
def test_grey_and_colour_pictures_open_without_a_size(
    tmp_path, grey, colour, extension
):
    for name, pixels in (("grey", grey), ("colour", colour)):
        path = tmp_path / f"{name}.{extension}"
        Image.fromarray(pixels).save(path, dpi=(300, 300))
        scan = open_scan(path)
        assert scan.shape == pixels.shape
        assert set(scan.pixel_size) == {None}
        assert list_images(path)[0].shape == pixels.shape
        if extension != "jpg":
            np.testing.assert_array_equal(scan.plane(), pixels)


def test_sixteen_bits_stay_sixteen(tmp_path, grey, colour):
    import imagecodecs

    for pixels in (grey, colour):
        deep = pixels.astype(np.uint16) * 257
        (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(deep))
        scan = open_scan(tmp_path / "a.png")
        assert scan.data.dtype == np.uint16
        assert list_images(tmp_path / "a.png")[0].dtype == "uint16"
        np.testing.assert_array_equal(scan.plane(), deep)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA"])
def test_palettes_and_opacity_become_grey_or_colour(tmp_path, colour, mode):
    Image.fromarray(colour).convert(mode).save(tmp_path / "a.png")
    scan = open_scan(tmp_path / "a.png")
    assert scan.is_rgb == (mode in ("P", "RGBA"))
    assert scan.plane_shape == (48, 64)


def test_equal_colours_are_grey_in_pictures_too(tmp_path, grey):
    Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(open_scan(tmp_path / "a.png").plane(), grey)


def test_the_content_counts_not_the_extension(tmp_path, grey):
    Image.fromarray(grey).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.tif")
    np.testing.assert_array_equal(open_scan(tmp_path / "a.tif").plane(), grey)


def test_a_sidecar_gives_a_picture_its_size(tmp_path, grey):
    Image.fromarray(grey).save(tmp_path / "a.bmp")
    (tmp_path / "a.txt").write_text("[SemImageFile]\nPixelSize=4.5\nDataSize=64x48\n")
    assert open_scan(tmp_path / "a.bmp").pixel_size == (4.5, 4.5)


def test_slices_are_stacked_in_the_order_people_count(tmp_path):
    for number in (10, 9, 100, 1):
        image = np.full((20, 30), number, np.uint8)
        tifffile.imwrite(tmp_path / f"slice_{number}.tif", image)
    (tmp_path / "notes.txt").write_text("not a slice")
    (tmp_path / ".hidden.tif").write_bytes(b"nothing")
    scan = open_scan(tmp_path)
    assert isinstance(scan.data, da.Array)
    assert scan.axes == ("z", "y", "x")
    assert [scan.plane(i)[0, 0] for i in range(4)] == [1, 9, 10, 100]
    assert scan.name == tmp_path.name
    assert pickle.loads(pickle.dumps(scan.data)).shape == (4, 20, 30)


def test_slices_keep_the_size_of_their_files(tmp_path):
    for number in range(3):
        image = np.zeros((20, 30), np.uint16)
        tifffile.imwrite(
            tmp_path / f"{number}.ome.tif",
            image,
            metadata={"axes": "YX", "PhysicalSizeX": 2.0, "PhysicalSizeY": 3.0},
        )
    scan = open_scan(tmp_path)
    assert scan.pixel_size == (None, 3.0, 2.0)
    assert scan.units == (None, "µm", "µm")


def test_grey_saved_as_colour_stacks_as_grey(tmp_path, grey):
    for number in range(3):
        Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save(
            tmp_path / f"{number}.png"
        )
    scan = open_scan(tmp_path)
    assert scan.axes == ("z", "y", "x")
    np.testing.assert_array_equal(scan.plane(2), grey)


def test_images_of_several_shapes_are_a_choice(tmp_path, grey, colour):
    Image.fromarray(grey).save(tmp_path / "b.png")
    Image.fromarray(colour).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((5, 20, 30), np.uint16))
    infos = list_images(tmp_path)
    assert [i.key for i in infos] == ["a.png", "b.png", "c.tif"]
    assert open_scan(tmp_path).shape == colour.shape
    assert open_scan(tmp_path, "c.tif").shape == (5, 20, 30)
    assert len(open_scan(tmp_path, "b.png").metadata["images"]) == 3


def test_a_broken_slice_is_named(tmp_path, grey):
    for number in range(4):
        Image.fromarray(grey).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:20])
    with pytest.raises(ScanError, match=r"2\.png"):
        open_scan(tmp_path)


def test_a_slice_that_changes_later_is_named(tmp_path, grey):
    for number in range(3):
        Image.fromarray(grey).save(tmp_path / f"{number}.png")
    scan = open_scan(tmp_path)
    Image.fromarray(grey[:9]).save(tmp_path / "1.png")
    with pytest.raises(ScanError, match=r"1\.png"):
        scan.plane(1)


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ScanError, match="holds no image"):
        open_scan(tmp_path)
