"""OME-Zarr 0.4 and 0.5: units, levels, labels."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_sesami.scan import ScanError, list_images, open_scan

AXES = [("z", "micrometer"), ("y", "nanometer"), ("x", "picometer")]


def multiscale(
    group: zarr.Group,
    pixels: np.ndarray,
    version: str,
    axes: list[tuple[str, str | None]],
    scale: list[float],
    **more: Any,
) -> None:
    """Write three levels by hand, as the two versions of the standard say."""
    datasets = []
    factors = [2 if name in "yx" else 1 for name, _ in axes]
    for level in range(3):
        steps = [f**level for f in factors]
        small = pixels[tuple(slice(None, None, s) for s in steps)]
        group.create_array(
            str(level), data=small, chunks=(1,) * (small.ndim - 2) + (16, 16)
        )
        change = [
            {
                "type": "scale",
                "scale": [a * b for a, b in zip(scale, steps, strict=True)],
            }
        ]
        datasets.append({"path": str(level), "coordinateTransformations": change})
    kinds = {"t": "time", "c": "channel"}
    named = []
    for name, unit in axes:
        axis = {"name": name, "type": kinds.get(name, "space")}
        named.append(axis | ({"unit": unit} if unit else {}))
    about = {"multiscales": [{"axes": named, "datasets": datasets}], **more}
    if version == "0.5":
        group.attrs["ome"] = {"version": "0.5", **about}
    else:
        about["multiscales"][0]["version"] = "0.4"
        group.attrs.update(about)


@pytest.fixture(params=["0.4", "0.5"])
def version(request) -> str:
    return request.param


def new(path, version: str) -> zarr.Group:
    return zarr.open_group(path, mode="w", zarr_format=3 if version == "0.5" else 2)


@pytest.fixture
def volume() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 9999, (5, 64, 96), dtype=np.uint16)


def test_axes_have_their_own_units_and_levels_are_lazy(tmp_path, volume, version):
    multiscale(new(tmp_path / "a.zarr", version), volume, version, AXES, [4, 3, 2])
    scan = open_scan(tmp_path / "a.zarr")
    assert scan.axes == ("z", "y", "x")
    assert scan.pixel_size == (4, 3, 2)
    assert scan.units == ("µm", "nm", "pm")
    assert isinstance(scan.data, da.Array)
    assert [level.shape for level in scan.levels] == [(5, 32, 48), (5, 16, 24)]
    np.testing.assert_array_equal(scan.plane(3), volume[3])
    np.testing.assert_array_equal(np.asarray(scan.levels[0]), volume[:, ::2, ::2])


def test_a_scale_without_unit_is_no_size(tmp_path, volume, version):
    axes = [(name, None) for name, _ in AXES]
    multiscale(new(tmp_path / "a.zarr", version), volume, version, axes, [1, 1, 1])
    assert open_scan(tmp_path / "a.zarr").pixel_size == (None, None, None)


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_a_scale_that_is_no_size_is_noted(tmp_path, volume, version, bad):
    multiscale(new(tmp_path / "a.zarr", version), volume, version, AXES, [bad, 3, 2])
    scan = open_scan(tmp_path / "a.zarr")
    assert scan.pixel_size == (None, 3, 2)
    assert any("along z" in n for n in scan.metadata["notes"])


def test_both_scales_and_translations_count(tmp_path, volume, version):
    group = new(tmp_path / "a.zarr", version)
    multiscale(group, volume, version, AXES, [4, 3, 2])
    about = dict(group.attrs)
    image = about.get("ome", about)["multiscales"][0]
    image["coordinateTransformations"] = [{"type": "scale", "scale": [10, 1, 1]}]
    image["datasets"][0]["coordinateTransformations"].append(
        {"type": "translation", "translation": [1, 5, 6]}
    )
    group.attrs.update(about)
    scan = open_scan(tmp_path / "a.zarr")
    assert scan.pixel_size == (40, 3, 2)
    assert scan.origin == (10, 5, 6)


def test_single_times_and_channels_are_dropped_and_several_kept(
    tmp_path, volume, version
):
    axes = [("t", "second"), ("c", None), *AXES]
    pixels = np.stack([volume, volume + 1])[None]
    multiscale(
        new(tmp_path / "a.zarr", version), pixels, version, axes, [1, 1, 4, 3, 2]
    )
    scan = open_scan(tmp_path / "a.zarr")
    assert scan.axes == ("channel", "z", "y", "x")
    assert scan.pixel_size == (None, 4, 3, 2)
    np.testing.assert_array_equal(scan.plane(7), volume[2] + 1)


def test_red_green_blue_is_colour(tmp_path, version):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 96), dtype=np.uint8)
    axes = [("c", None), *AXES[1:]]
    colours = [{"color": c} for c in ("FF0000", "00FF00", "0000FF")]
    group = new(tmp_path / "a.zarr", version)
    multiscale(group, pixels, version, axes, [1, 3, 2], omero={"channels": colours})
    scan = open_scan(tmp_path / "a.zarr")
    assert scan.axes == ("y", "x", "c")
    np.testing.assert_array_equal(scan.plane(), np.moveaxis(pixels, 0, -1))


def test_labels_are_listed_after_the_image(tmp_path, volume, version):
    root = new(tmp_path / "a.zarr", version)
    multiscale(root, volume, version, AXES, [4, 3, 2])
    labels = root.create_group("labels")
    if version == "0.5":
        labels.attrs["ome"] = {"labels": ["phases"]}
    else:
        labels.attrs["labels"] = ["phases"]
    truth = (volume % 3).astype(np.uint8)
    multiscale(labels.create_group("phases"), truth, version, AXES, [4, 3, 2])
    infos = list_images(tmp_path / "a.zarr")
    assert [i.key for i in infos] == ["", "labels/phases"]
    scan = open_scan(tmp_path / "a.zarr", "labels/phases")
    assert scan.units == ("µm", "nm", "pm")
    assert scan.metadata["labels"] is True
    np.testing.assert_array_equal(np.asarray(scan.data), truth)


def test_plain_zarr_opens_without_a_size(tmp_path, volume, version):
    root = new(tmp_path / "a.zarr", version)
    root.create_array("x/y", data=volume)
    scan = open_scan(tmp_path / "a.zarr")
    assert scan.image_key == "x/y"
    assert scan.pixel_size == (None, None, None)
    lone = open_scan(tmp_path / "a.zarr" / "x" / "y")
    np.testing.assert_array_equal(np.asarray(lone.data), volume)


@pytest.mark.parametrize("text", ["", "{", '{"zarr_format": 99}', '{"a": 1}', "[]"])
@pytest.mark.parametrize("name", ["zarr.json", ".zgroup", ".zarray"])
def test_broken_zarrs_are_one_sentence(tmp_path, text, name):
    folder = tmp_path / "a.zarr"
    folder.mkdir()
    (folder / name).write_text(text)
    with pytest.raises(ScanError, match=r"a\.zarr"):
        open_scan(folder)


def test_a_folder_that_is_only_named_zarr_is_refused(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(ScanError, match="named like a Zarr"):
        open_scan(tmp_path / "a.zarr")


def test_missing_levels_and_damaged_chunks_are_one_sentence(tmp_path, volume, version):
    group = new(tmp_path / "a.zarr", version)
    multiscale(group, volume, version, AXES, [4, 3, 2])
    chunks = [p for p in (tmp_path / "a.zarr" / "0").rglob("*") if p.is_file()]
    for chunk in chunks:
        if not chunk.name.startswith(".") and chunk.suffix != ".json":
            chunk.write_bytes(b"damaged")
    with pytest.raises(ScanError, match="cannot be read"):
        open_scan(tmp_path / "a.zarr").plane(0)
    del group["1"]
    with pytest.raises(ScanError, match=r"a\.zarr"):
        open_scan(tmp_path / "a.zarr")
