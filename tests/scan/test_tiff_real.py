"""TIFF files of real instruments, where shared/data lies beside the checkout."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import pytest

from napari_sesami.scan import list_images, open_scan

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def fixtures(shared_data: Path) -> Path:
    return shared_data / "format_fixtures" / "rosettasciio"


def unzipped(archive: Path, member: str, to: Path) -> Path:
    with zipfile.ZipFile(archive) as file:
        name = next(n for n in file.namelist() if n.endswith(member))
        return type(to)(file.extract(name, to))


@pytest.mark.parametrize(
    "archive, member, shape, size, unit, bar",
    [
        ("FEI_Helios", "Ebeam-8bits.tif", (471, 512), 3.3724, "µm", 442),
        ("FEI_Helios", "Ebeam-16bits.tif", (471, 512), 3.3724, "µm", 442),
        ("FEI_Helios", "navcam.tif", (551, 768), None, None, 512),
        ("FEI_Helios", "navcam-with-no-IRBeam.tif", (551, 768), None, None, 512),
        ("FEI_Helios", "IRBeam-bad-floats.tif", (551, 768), None, None, 512),
        ("Zeiss_SEM", "Zeiss_SEM_1k.tif", (768, 1024), 2.615, "µm", 691),
        ("Zeiss_SEM", "Zeiss_SEM_512pix.tif", (384, 512), 11.65, "nm", 350),
        ("Zeiss_SEM", "multipage.tif", (2, 1536, 2048), 12.33, "nm", None),
    ],
)
def test_scanning_microscopes(
    fixtures, tmp_path, archive, member, shape, size, unit, bar
):
    scan = open_scan(unzipped(fixtures / f"tiff__tiff_{archive}.zip", member, tmp_path))
    assert scan.shape == shape
    assert scan.pixel_size[-2:] == (
        (size, size) if size is None else (pytest.approx(size), pytest.approx(size))
    )
    assert scan.units[-2:] == (unit, unit)
    assert isinstance(scan.data, da.Array)
    top = None if scan.ignore is None else int(scan.ignore.any(axis=1).argmax())
    assert top == bar


def test_tvips_is_in_nanometres(fixtures, tmp_path):
    archive = fixtures / "tiff__TVIPS_bin4.zip"
    scan = open_scan(unzipped(archive, ".tif", tmp_path))
    assert scan.shape == (1024, 1024)
    assert scan.pixel_size == pytest.approx((1.4208, 1.4208), rel=1e-4)
    assert scan.units == ("nm", "nm")
    assert scan.modality == "TEM"


def test_saved_by_digitalmicrograph(fixtures):
    scan = open_scan(fixtures / "tiff__test_loading_image_saved_with_DM.tif")
    assert scan.pixel_size == pytest.approx((0.16867, 0.16867), rel=1e-4)
    assert scan.units == ("µm", "µm")


def test_saved_by_imagej(fixtures):
    scan = open_scan(fixtures / "tiff__test_loading_image_saved_with_imageJ_stack.tif")
    assert scan.shape == (2, 68, 68)
    assert scan.pixel_size == pytest.approx((2.5, 0.16867, 0.16867), rel=1e-4)
    assert scan.units == ("µm", "µm", "µm")


def test_olympus_previews_have_no_size_and_its_data_pages_their_own(fixtures):
    path = fixtures / "tiff__olympus_SIS.tif"
    preview, pixels = list_images(path)
    assert preview.shape == (101, 112, 3)
    assert pixels.dtype == "uint16"
    assert open_scan(path).pixel_size == (None, None, None)  # 72 dpi is none
    scan = open_scan(path, pixels.key)
    assert scan.pixel_size == pytest.approx((23.928, 23.928), rel=1e-4)
    assert scan.units == ("pm", "pm")


def test_the_black_of_an_empty_image_is_not_the_white_of_its_bar(fixtures, tmp_path):
    archive = fixtures / "tiff__tiff_FEI_Helios.zip"
    scan = open_scan(unzipped(archive, "Ebeam-8bits.tif", tmp_path))
    assert np.asarray(scan.data)[442:].max() == 255
    assert not scan.grey()[:442].any()
