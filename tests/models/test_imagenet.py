from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_sesami.models import (
    ModelError,
    catalog,
    install_imagenet,
    load_feature_encoder,
)
from napari_sesami.models import imagenet as module

pytest.importorskip(module.PACKAGE)
ESPRESSO, CATS = 967, (281, 282, 285)


def picture(name: str) -> torch.Tensor:
    """Return the middle of a CC0 picture that scikit-image ships, at 224²."""
    from skimage import data
    from skimage.transform import resize

    image = getattr(data, name)()
    side = min(image.shape[:2])
    y, x = ((s - side) // 2 for s in image.shape[:2])
    square = resize(image[y : y + side, x : x + side], (224, 224), anti_aliasing=True)
    return torch.from_numpy(square).float().permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    from importlib.util import find_spec

    spec = find_spec(module.PACKAGE)
    assert spec and spec.submodule_search_locations
    file = Path(next(iter(spec.submodule_search_locations))) / module.FILE
    return torch.load(file, weights_only=True)


def test_the_package_is_imported_once_with_hash_card_and_licence(published):
    encoder = load_feature_encoder("lite0", device="cpu")  # imports by itself
    entry = catalog.find("lite0")
    assert entry.kind == "features" and entry.licence == "Apache-2.0"
    assert module.SHA256 in entry.origin and "ImageNet" in entry.card
    assert catalog.verify("lite0") and not encoder.training
    again = load_feature_encoder("lite0", device="cpu")
    assert again.key == encoder.key
    with pytest.raises(ModelError, match="already"):
        install_imagenet()


def test_it_knows_what_is_on_pictures(published):
    net = module._build(3, classes=1000).eval()
    net.load_state_dict(module.timm_state(published), strict=True)
    with torch.no_grad():
        coffee = net(module.as_trained(picture("coffee"))).softmax(1)[0]
        cat = net(module.as_trained(picture("chelsea"))).softmax(1)[0]
    assert coffee.argmax() == ESPRESSO and coffee.max() > 0.5
    assert int(cat.argmax()) in CATS and cat[list(CATS)].sum() > 0.5


def test_grey_gives_what_equal_colours_give_and_maps_have_their_strides():
    grey = load_feature_encoder("lite0", channels=1, device="cpu")
    colour = load_feature_encoder("lite0", channels=3, device="cpu")
    view = picture("coffee").mean(1, keepdim=True)[..., :96, :128]
    with torch.no_grad():
        maps, wanted = grey(view), colour(view.expand(-1, 3, -1, -1))
        pooled = grey.pooled(view)
    for found, same, stride, dim in zip(
        maps, wanted, grey.strides, grey.dims, strict=True
    ):
        assert found.shape == (1, dim, 96 // stride, 128 // stride)
        torch.testing.assert_close(found, same, rtol=1e-3, atol=1e-3)
    assert pooled.shape == (1, grey.pooled_dim)


def test_what_does_not_fit_is_refused(published, tmp_path, monkeypatch):
    fewer = {k: v for k, v in published.items() if "_blocks.3." not in k}
    torch.save(fewer, tmp_path / "fewer.pth")
    with pytest.raises(ModelError, match="last tensor"):
        catalog.import_file(tmp_path / "fewer.pth")
    other = {**published, "_blocks.99._bn1.weight": torch.ones(3)}
    with pytest.raises(ModelError, match="no part"):
        module.timm_state(other)
    monkeypatch.setattr(module, "SHA256", "0" * 64)
    with pytest.raises(ModelError, match="not the file that was published"):
        load_feature_encoder("lite0")
    monkeypatch.setattr(module, "PACKAGE", "no_such_package_here")
    with pytest.raises(ModelError, match="imagenet"):
        load_feature_encoder("lite0")
    assert not any(e.name == "lite0" for e in catalog.entries())


def test_the_file_alone_does_too(published, tmp_path):
    torch.save(published, tmp_path / "lite.pth")
    entry = catalog.import_file(tmp_path / "lite.pth", "mine", "Apache-2.0")
    assert entry.architecture.startswith("EfficientNet-Lite0")
    encoder = load_feature_encoder("mine", device="cpu")
    assert encoder.key == load_feature_encoder(tmp_path / "lite.pth", device="cpu").key
    with pytest.raises(ModelError, match="no EfficientNet-Lite0"):
        load_feature_encoder("sesami-nano")
