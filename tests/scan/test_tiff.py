"""TIFF dialects, each as a small file, and the pixel size that its vendor meant."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import pytest
import tifffile

from napari_sesami.scan import ScanError, list_images, open_scan
from napari_sesami.scan.readers.tiff_vendors import sis, tvips
from napari_sesami.scan.units import clean_axes

if TYPE_CHECKING:
    from pathlib import Path

DPI = {"resolution": (96, 96), "resolutionunit": "INCH"}


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (64, 96), dtype=np.uint8)


@pytest.fixture
def stack() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 60000, (5, 64, 96), dtype=np.uint16)


def text_tag(code: int, text: str) -> tuple:
    raw = text.encode() + b"\0"
    return (code, 2, len(raw), raw, True)


def write(path: Path, pixels: np.ndarray, *tags: tuple, **more) -> Path:
    tifffile.imwrite(path, pixels, metadata=None, extratags=list(tags), **DPI, **more)
    return path


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd"])
def test_plain_stacks_open_lazily_and_dpi_is_no_calibration(
    tmp_path, stack, bigtiff, byteorder, compression
):
    path = write(
        tmp_path / "a.tif",
        stack,
        bigtiff=bigtiff,
        byteorder=byteorder,
        compression=compression,
    )
    scan = open_scan(path)
    assert isinstance(scan.data, da.Array)
    assert scan.axes == ("z", "y", "x")
    assert scan.pixel_size == (None, None, None)
    assert scan.data.dtype == np.uint16
    assert scan.data.dtype.isnative
    np.testing.assert_array_equal(scan.plane(3), stack[3])
    np.testing.assert_array_equal(scan.data[:, 7].compute(), stack[:, 7])


@pytest.mark.parametrize(
    "how",
    [
        {"tile": (16, 32)},
        {"rowsperstrip": 1},
        {"tile": (16, 16), "compression": "zlib"},
    ],
)
def test_tiles_and_strips_join_to_the_image(tmp_path, stack, how):
    scan = open_scan(write(tmp_path / "a.tif", stack, **how))
    np.testing.assert_array_equal(np.asarray(scan.data), stack)
    assert max(scan.data.numblocks[-2:]) == 1


def test_pages_apart_from_each_other_are_mapped_without_an_open_file(tmp_path, stack):
    with tifffile.TiffWriter(tmp_path / "a.tif", byteorder=">") as tif:
        for plane in stack:
            tif.write(plane, metadata=None, contiguous=False)
    scan = open_scan(tmp_path / "a.tif")
    np.testing.assert_array_equal(np.asarray(scan.data), stack)
    np.testing.assert_array_equal(scan.data[1:4, 5, ::3].compute(), stack[1:4, 5, ::3])
    np.testing.assert_array_equal(scan.plane(2, step=2), stack[2, ::2, ::2])
    assert scan.data.dtype.isnative


def test_a_lazy_scan_travels_to_another_process(tmp_path, stack):
    scan = open_scan(write(tmp_path / "a.tif", stack, compression="zlib"))
    scan.plane(0)
    copy = pickle.loads(pickle.dumps(scan.data))
    np.testing.assert_array_equal(copy[2].compute(), stack[2])


@pytest.mark.parametrize("shape", [(1, 64, 96), (64, 1, 96), (64, 96, 1), (1, 96)])
def test_one_pixel_thin_images_keep_y_and_x(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    scan = open_scan(tmp_path / "a.tif")
    assert scan.axes[-2:] == ("y", "x")
    np.testing.assert_array_equal(np.asarray(scan.data).ravel(), pixels.ravel())


def test_imagej_has_size_unit_and_spacing(tmp_path, stack):
    tifffile.imwrite(
        tmp_path / "a.tif",
        stack,
        imagej=True,
        resolution=(1 / 0.16867, 1 / 0.16867),
        metadata={"axes": "ZYX", "unit": "micron", "spacing": 2.5},
    )
    scan = open_scan(tmp_path / "a.tif")
    assert scan.pixel_size == pytest.approx((2.5, 0.16867, 0.16867), rel=1e-4)
    assert scan.units == ("µm", "µm", "µm")


@pytest.mark.parametrize("unit", [None, "inch", "pixel"])
def test_imagej_without_a_real_unit_is_unknown(tmp_path, stack, unit):
    said = {"axes": "ZYX", "spacing": 2.5} | ({"unit": unit} if unit else {})
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata=said, **DPI)
    assert open_scan(tmp_path / "a.tif").pixel_size == (None, None, None)


def test_ome_has_size_and_unit_per_axis(tmp_path, stack):
    said = {
        "axes": "ZYX",
        "PhysicalSizeX": 2.0,
        "PhysicalSizeXUnit": "pm",
        "PhysicalSizeY": 3.0,
        "PhysicalSizeYUnit": "nm",
        "PhysicalSizeZ": 4.0,
        "PhysicalSizeZUnit": "µm",
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata=said)
    scan = open_scan(tmp_path / "a.ome.tif")
    assert scan.axes == ("z", "y", "x")
    assert scan.pixel_size == (4.0, 3.0, 2.0)
    assert scan.units == ("µm", "nm", "pm")


def test_ome_without_unit_is_micrometres_as_its_standard_says(tmp_path, image):
    tifffile.imwrite(
        tmp_path / "a.ome.tif", image, metadata={"axes": "YX", "PhysicalSizeX": 0.5}
    )
    scan = open_scan(tmp_path / "a.ome.tif")
    assert scan.pixel_size == (None, 0.5)
    assert scan.units == (None, "µm")


def test_ome_time_and_channels_keep_their_names(tmp_path):
    pixels = np.zeros((4, 2, 16, 16), np.uint16)
    said = {"axes": "TCYX", "TimeIncrement": 0.1, "TimeIncrementUnit": "s"}
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata=said)
    scan = open_scan(tmp_path / "a.ome.tif")
    assert scan.axes == ("t", "channel", "y", "x")
    assert scan.pixel_size[0] == 0.1
    assert scan.units[0] == "s"


def test_ome_labels_keep_their_numbers(tmp_path):
    labels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) % 5
    tifffile.imwrite(
        tmp_path / "a.ome.tif", labels, metadata={"axes": "YX", "PhysicalSizeX": 1.5}
    )
    np.testing.assert_array_equal(open_scan(tmp_path / "a.ome.tif").plane(), labels)


def test_two_ome_images_are_listed_with_their_own_sizes(tmp_path, image, stack):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tif:
        tif.write(image, metadata={"axes": "YX", "PhysicalSizeX": 1.0, "Name": "one"})
        tif.write(stack, metadata={"axes": "ZYX", "PhysicalSizeX": 7.0, "Name": "two"})
    infos = list_images(tmp_path / "a.ome.tif")
    assert [i.shape for i in infos] == [(64, 96), (5, 64, 96)]
    first = open_scan(tmp_path / "a.ome.tif")
    assert first.shape == (64, 96)
    assert len(first.metadata["images"]) == 2
    assert open_scan(tmp_path / "a.ome.tif", infos[1].key).pixel_size[-1] == 7.0
    assert open_scan(tmp_path / "a.ome.tif", 1).shape == (5, 64, 96)
    with pytest.raises(ScanError, match="choose one of"):
        open_scan(tmp_path / "a.ome.tif", "nothing")


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_pyramids_become_levels(tmp_path, compression):
    pixels = np.random.default_rng(0).integers(0, 255, (512, 768), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        options = {"tile": (128, 128), "compression": compression}
        tif.write(pixels, subifds=2, **options)
        tif.write(pixels[::2, ::2], subfiletype=1, **options)
        tif.write(pixels[::4, ::4], subfiletype=1, **options)
    scan = open_scan(tmp_path / "a.tif")
    assert [level.shape for level in scan.levels] == [(256, 384), (128, 192)]
    np.testing.assert_array_equal(np.asarray(scan.levels[1]), pixels[::4, ::4])


FEI_INI = """[User]
Date=06/13/2016
[Beam]
Beam=EBeam
[EBeam]
HFW={hfw}
{scan}[Image]
ResolutionX=96
ResolutionY=56
[PrivateFei]
DatabarHeight=8
"""
FEI_SCAN = "[Scan]\nPixelWidth=3.3724e-006\nPixelHeight=3.3724e-006\n"


@pytest.mark.parametrize("code", [34680, 34682])
def test_fei_pixel_size_is_in_metres_and_dpi_is_ignored(tmp_path, image, code):
    text = FEI_INI.format(hfw="0.00172667", scan=FEI_SCAN).replace("\n", "\r\n")
    scan = open_scan(write(tmp_path / "a.tif", image, text_tag(code, text)))
    assert scan.pixel_size == pytest.approx((3.3724, 3.3724))
    assert scan.units == ("µm", "µm")
    assert scan.modality == "SEM"
    assert scan.ignore is not None
    assert scan.ignore[56:].all()
    assert not scan.ignore[:56].any()
    assert scan.shape == (64, 96)


def test_fei_without_scan_uses_the_field_of_view(tmp_path, image):
    text = FEI_INI.format(hfw="9.6e-6", scan="")
    scan = open_scan(write(tmp_path / "a.tif", image, text_tag(34682, text)))
    assert scan.pixel_size == pytest.approx((100, 100))
    assert scan.units == ("nm", "nm")


def test_fei_navigation_camera_has_no_size(tmp_path, image):
    text = (
        "[Beam]\nHV=notafloat\nBeam=IRBeam\n[IRBeam]\nHFW=0.202732\n"
        "[Detectors]\nName=Nav-Cam\n"
    )
    scan = open_scan(write(tmp_path / "a.tif", image, text_tag(34682, text)))
    assert scan.pixel_size == (None, None)
    assert scan.modality == "optical"


FEI_XML = """<?xml version="1.0"?><Metadata><BinaryResult><PixelSize>
<X unit="m" unitPrefixPower="1">6.4829e-07</X>
<Y unit="m" unitPrefixPower="1">6.4829e-07</Y>
</PixelSize></BinaryResult></Metadata>"""
FEI_MEMENTO = """<?xml version="1.0"?><Root xmlns="http://x"><MementoItem>
<Name>PixelSize</Name><MementoItemSection>
<item><value><MementoItem><Name>Width</Name><anyType>1.6001e-08</anyType></MementoItem>
</value></item><item><value><MementoItem><Name>Height</Name>
<anyType>1.7001e-08</anyType></MementoItem></value></item>
</MementoItemSection></MementoItem></Root>"""


@pytest.mark.parametrize(
    "text, sizes, unit",
    [
        (FEI_XML, (648.29, 648.29), "nm"),
        (FEI_MEMENTO, (17.001, 16.001), "nm"),
        ("[User]\nDate=1\n" + FEI_XML, (648.29, 648.29), "nm"),
    ],
)
@pytest.mark.parametrize("code", [34682, 34683])
def test_newer_thermo_files_carry_xml(tmp_path, image, text, sizes, unit, code):
    scan = open_scan(write(tmp_path / "a.tif", image, text_tag(code, text)))
    assert scan.pixel_size == pytest.approx(sizes)
    assert scan.units == (unit, unit)
    assert scan.modality == ("TEM" if code == 34683 else "SEM")


ZEISS = "0\r\n0\r\n0\r\nAP_PIXEL_SIZE\r\nPixel Size = {monitor}\r\n"
ZEISS_IMAGE = "AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = {image}\r\n"


def zeiss(path: Path, width: int, monitor: str, own: str | None) -> Path:
    text = ZEISS.format(monitor=monitor)
    text += ZEISS_IMAGE.format(image=own) if own else ""
    raw = text.encode("cp1252") + b"\0"
    pixels = np.zeros((48, width), np.uint8)
    return write(path, pixels, (34118, 2, len(raw), raw, True))


@pytest.mark.parametrize(
    "width, monitor, own, size, unit",
    [
        (1024, "2.615 µm", None, 2.615, "µm"),
        (512, "5.825 nm", None, 11.65, "nm"),
        (2048, "24.65 nm", "12.33 nm", 12.33, "nm"),
        (2048, "24.66 nm", None, 12.33, "nm"),
        (1024, "950.0 pm", None, 950.0, "pm"),
        (1024, "950.0 pm", "950.0 pm", 950.0, "pm"),
    ],
)
def test_zeiss_pixel_size_is_that_of_the_image_not_of_the_monitor(
    tmp_path, width, monitor, own, size, unit
):
    scan = open_scan(zeiss(tmp_path / "a.tif", width, monitor, own))
    assert scan.pixel_size == pytest.approx((size, size))
    assert scan.units == (unit, unit)
    assert scan.modality == "SEM"


def test_gatan_saves_tiffs_with_private_tags(tmp_path, image):
    tags = [
        text_tag(65003, "µm"),
        text_tag(65004, "nm"),
        (65009, 12, 1, 0.16867, True),
        (65010, 12, 1, 170.0, True),
    ]
    scan = open_scan(write(tmp_path / "a.tif", image, *tags))
    assert scan.pixel_size == pytest.approx((170.0, 0.16867))
    assert scan.units == ("nm", "µm")


def test_tvips_is_in_nanometres_and_zero_is_unknown():
    facts = tvips({"PixelSizeX": 1.4208, "PixelSizeY": 0.0})
    axes = ("y", "x")
    sizes, units, notes = clean_axes(axes, [facts.sizes[a] for a in axes])
    assert sizes == (None, 1.4208)
    assert units == (None, "nm")
    assert "along y" in notes[0]


def test_olympus_is_in_metres_if_its_tag_says_so():
    facts = sis({"pixelsizex": 2.39e-11, "pixelsizey": 2.39e-11})
    assert facts.sizes["x"] == (2.39e-11, "m")
    assert sis({"name": "no size"}).sizes == {}
    assert sis(None).sizes == {}


@pytest.mark.parametrize("encoding", ["ascii", "utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("section", ["SemImageFile", "TemImageFile"])
def test_hitachi_keeps_the_size_in_a_text_file(tmp_path, image, encoding, section):
    text = (
        f"[{section}]\r\nImageName=a.tif\r\nDataSize=96x56\r\nPixelSize=4.9609\r\n"
        f"Magnification=20000\r\nComment=100% {'ä' if encoding != 'ascii' else ''}\r\n"
    )
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    scan = open_scan(write(tmp_path / "a.tif", image))
    assert scan.pixel_size == pytest.approx((4.9609, 4.9609))
    assert scan.units == ("nm", "nm")
    assert scan.modality == section[:3].upper()
    assert scan.ignore is not None
    assert int(scan.ignore.sum()) == 8 * 96


def test_jeol_keeps_the_size_in_a_text_file(tmp_path, image):
    text = "$CM_FORMAT\r\n$CM_FULL_SIZE 96 64\r\n$$SM_MICRON_BAR 50\r\n"
    (tmp_path / "a.txt").write_text(text + "$$SM_MICRON_MARKER 5um\r\n")
    scan = open_scan(write(tmp_path / "a.tif", image))
    assert scan.pixel_size == pytest.approx((0.1, 0.1))
    assert scan.units == ("µm", "µm")


@pytest.mark.parametrize(
    "text, note",
    [
        ("[SemImageFile]\nDataSize=1280x960\nPixelSize=4.96\n", "was scaled"),
        ("$CM_FULL_SIZE 1280 960\n$$SM_MICRON_BAR 9\n$$SM_MICRON_MARKER 1nm", "scaled"),
        ("$$SM_MICRON_BAR 0\n$$SM_MICRON_MARKER 5um\n", "no micron bar"),
        ("$$SM_MICRON_BAR 10\n$$SM_MICRON_MARKER five\n", "no micron bar"),
    ],
)
def test_a_sidecar_that_does_not_fit_leaves_the_size_unknown(
    tmp_path, image, text, note
):
    (tmp_path / "a.txt").write_text(text)
    scan = open_scan(write(tmp_path / "a.tif", image))
    assert scan.pixel_size == (None, None)
    assert any(note in n for n in scan.metadata["notes"])


def test_any_other_text_file_beside_an_image_is_ignored(tmp_path, image):
    (tmp_path / "a.txt").write_text("dear diary [1]")
    assert open_scan(write(tmp_path / "a.tif", image)).pixel_size == (None, None)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour_comes_last(tmp_path, planar):
    colour = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    stored = colour if planar == "contig" else np.moveaxis(colour, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    scan = open_scan(tmp_path / "a.tif")
    assert scan.axes == ("y", "x", "c")
    assert scan.modality == "optical"
    np.testing.assert_array_equal(scan.plane(), colour)


def test_three_equal_colours_are_grey(tmp_path, image, stack):
    grey = np.repeat(image[..., None], 3, axis=2)
    tifffile.imwrite(tmp_path / "a.tif", grey, photometric="rgb")
    scan = open_scan(tmp_path / "a.tif")
    assert scan.axes == ("y", "x")
    np.testing.assert_array_equal(scan.plane(), image)
    assert any("opened as grey" in n for n in scan.metadata["notes"])
    grey[40, 40] = (1, 2, 3)
    tifffile.imwrite(tmp_path / "b.tif", grey, photometric="rgb")
    assert open_scan(tmp_path / "b.tif").is_rgb


def test_a_description_that_lies_about_the_shape_does_not_matter(tmp_path, image):
    tifffile.imwrite(
        tmp_path / "a.tif", image, metadata=None, description='{"shape": [96, 65]}'
    )
    np.testing.assert_array_equal(open_scan(tmp_path / "a.tif").plane(), image)


@pytest.mark.parametrize("dtype", [bool, np.int16, np.uint32, np.float16, np.float64])
def test_every_kind_of_number_opens(tmp_path, image, dtype):
    pixels = (image > 100).astype(dtype) if dtype is bool else image.astype(dtype)
    scan = open_scan(write(tmp_path / "a.tif", pixels))
    np.testing.assert_array_equal(scan.plane(), pixels)
    assert 0 < scan.grey().mean() < 1


def test_float_images_with_holes_open(tmp_path, image):
    pixels = image.astype(np.float32)
    pixels[:2, :2] = [[np.nan, np.inf], [-np.inf, 1e30]]
    scan = open_scan(write(tmp_path / "a.tif", pixels))
    assert np.isfinite(scan.grey()).all()


def test_a_huge_single_strip_is_read_in_bands(tmp_path):
    path = tmp_path / "a.tif"
    shape = (40_000, 4_000)
    with path.open("wb") as file:
        tifffile.imwrite(file, shape=shape, dtype=np.uint8, rowsperstrip=shape[0])
    scan = open_scan(path)
    assert max(np.prod(c) for c in [scan.data.chunksize]) <= 64 * 2**20
    assert scan.window(0, (39_990, 0, 40_000, 10)).shape == (10, 10)
