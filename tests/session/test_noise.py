"""Fitted noise travels with the project and with every run."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from napari_sesami import Session, noise
from napari_sesami.noise import NoiseError
from napari_sesami.train import TrainError, read_fitted, write_fitted


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    grey = np.full((256, 256), 0.25, np.float32)
    grey[20:90, 20:230] = 0.85
    grey[120:240, 30:110] = 0.6
    chain = noise.Chain((noise.ShotNoise(500.0), noise.ReadOut(8.0, 500.0)))
    made = chain(torch.from_numpy(grey)[None, None], torch.Generator().manual_seed(0))
    return (made.image[0, 0].numpy() * 255).round().astype(np.uint8)


def test_a_fit_is_kept_in_the_project_copied_and_forgotten(picture, tmp_path):
    s = Session(picture)
    assert s.noise.fitted is None
    fit = s.noise.fit()
    s.noise.keep(fit)
    assert s.noise.fitted == fit
    s.save(tmp_path / "a.sesami")  # kept before there was a project
    s.save(tmp_path / "b.sesami")
    s.close()
    for name in ("a", "b"):
        with Session(picture, tmp_path / f"{name}.sesami") as again:
            assert again.noise.fitted == fit
    with Session(picture, tmp_path / "b.sesami") as again:
        again.noise.forget()
        assert again.noise.fitted is None
    with Session(picture, tmp_path / "b.sesami") as again:
        assert again.noise.fitted is None
    stored = tmp_path / "a.sesami" / "noise" / "fit.json"
    stored.write_text(stored.read_text().replace('"value"', '"valeu"', 1))
    with (
        Session(picture, tmp_path / "a.sesami") as damaged,
        pytest.raises(NoiseError, match="fit it again"),
    ):
        _ = damaged.noise.fitted


def test_many_files_give_one_fit_and_bad_ones_are_passed_over(picture, tmp_path):
    import tifffile

    paths = []
    for n in range(3):
        paths.append(tmp_path / f"{n}.tif")
        tifffile.imwrite(paths[-1], np.roll(picture, n * 16, 1))
    (tmp_path / "bad.tif").write_bytes(b"no picture")
    s = Session(picture)
    fit = s.noise.fit_files([*paths, tmp_path / "bad.tif"])
    assert fit.scans == 3
    with pytest.raises(NoiseError):
        s.noise.fit_files([tmp_path / "bad.tif"])


def test_three_pictures_beside_each_other(picture):
    s = Session(picture)
    fit = s.noise.fit()
    real, usual, fitted = s.noise.beside(fit, side=96)
    assert real.shape == usual.shape == fitted.shape == (96, 96)

    def fine(image: np.ndarray) -> float:
        return float(np.diff(np.diff(image, 2, 0), 2, 1).std())

    assert fine(fitted) == pytest.approx(fine(real), rel=0.25)


def test_a_run_takes_the_fit_along_and_its_views_have_that_noise(picture, tmp_path):
    from napari_sesami.train.sesami.views import Examples

    s = Session(picture)
    s.classes.add("pad")
    for top in (20, 120):
        mask = np.zeros(picture.shape, bool)
        mask[top : top + 60, 30:100] = True
        s.commit(mask, "pad")
    fit = s.noise.fit()
    config, data = s.runs._prepared("sesami", 10, {})
    data(tmp_path / "without")
    assert read_fitted(tmp_path / "without") is None
    s.noise.keep(fit)
    config, data = s.runs._prepared("sesami", 10, {})
    data(tmp_path / "with")
    assert read_fitted(tmp_path / "with") == fit
    assert config.recipe_options.noise_share > 0

    pictures = s.runs.training_set().pictures

    def views(**options):
        made = Examples(pictures, 64, **options)
        return [made.cut(0, np.random.default_rng(n)).image for n in range(6)]

    plain = views()
    off = views(noise=fit, noise_share=0.0)
    on = views(noise=fit, noise_share=1.0)
    again = views(noise=fit, noise_share=1.0)
    assert len(plain) == len(off)
    assert all(np.array_equal(a, b) for a, b in zip(on, again, strict=True))
    rough = [np.diff(v, 2, 0).std() for v in on]
    assert np.mean(rough) > 1.2 * np.mean([np.diff(v, 2, 0).std() for v in plain])

    write_fitted(tmp_path / "with", fit)
    text = json.loads((tmp_path / "with" / "noise.json").read_text())
    text["growth"]["value"] = "much"
    (tmp_path / "with" / "noise.json").write_text(json.dumps(text))
    with pytest.raises(TrainError, match="damaged"):
        read_fitted(tmp_path / "with")
