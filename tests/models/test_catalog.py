from __future__ import annotations

import functools
import hashlib
import http.server
import json
import pickle
import threading
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from napari_sesami.common.cancel import Cancelled
from napari_sesami.models import (
    ModelError,
    build_tiny_sam,
    catalog,
    choose_device,
    load_prompt_model,
    load_token_encoder,
)
from napari_sesami.models.known import KNOWN, Known
from napari_sesami.models.tokens.encoders import SamTokens


@pytest.fixture
def sam_file(tmp_path: Path) -> Path:
    path = tmp_path / "my sam.pth"
    torch.save({"model": build_tiny_sam(5).sam.state_dict(), "epoch": 3}, path)
    return path


def test_weights_are_imported_listed_used_and_removed(sam_file: Path):
    entry = catalog.import_file(sam_file, licence="Apache-2.0", card="random")
    assert entry.name == "my-sam"
    assert entry.kind == "prompt" and "SAM" in entry.architecture
    assert entry.path.suffix == ".safetensors"
    assert entry in catalog.entries()
    assert catalog.verify("my-sam")
    model = load_prompt_model("my-sam", device="cpu")
    assert model.key == build_tiny_sam(5).key
    assert isinstance(
        load_token_encoder("my-sam", device="cpu", debias=False), SamTokens
    )
    text = catalog.info("my-sam")
    assert "Apache-2.0" in text and entry.sha256 in text and str(sam_file) in text
    catalog.remove("my-sam")
    assert "my-sam" not in [e.name for e in catalog.entries()]
    assert not any(catalog.folder().iterdir())


def test_a_file_is_used_without_importing_it(sam_file: Path):
    assert load_prompt_model(sam_file, device="cpu").tile == 128


def test_own_autoencoders_tell_how_to_be_read(tmp_path: Path):
    import timm
    from safetensors.torch import save_file

    net = timm.models.VisionTransformer(
        img_size=32,
        patch_size=8,
        in_chans=1,
        embed_dim=32,
        depth=1,
        num_heads=4,
        num_classes=0,
    )
    facts = {"heads": "4", "mean": "0.5", "std": "0.25"}
    save_file(net.state_dict(), tmp_path / "mae.safetensors", facts)
    entry = catalog.import_file(tmp_path / "mae.safetensors")
    assert entry.kind == "tokens"
    assert "unknown" in entry.licence
    encoder = load_token_encoder("mae", device="cpu", debias=False)
    assert encoder.net.blocks[0].attn.num_heads == 4
    x = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        raw = net.forward_features((x - 0.5) / 0.25)[:, 1:]
    torch.testing.assert_close(
        encoder.encode(x).flatten(2).mT, raw, atol=1e-4, rtol=1e-3
    )
    with pytest.raises(ModelError, match="gives tokens, no masks"):
        load_prompt_model("mae")


class Evil:
    def __reduce__(self):
        return (exec, ("import os; os.environ['SESAMI_WAS_HERE'] = '1'",))


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    whole = folder / "whole.pth"
    torch.save(build_tiny_sam().sam.state_dict(), whole)
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1000)}, folder / "whole.safetensors")
    files = {
        "evil.pth": (lambda p: torch.save({"x": Evil()}, p), "run its own code"),
        "evil_old.pth": (
            lambda p: p.write_bytes(pickle.dumps({"x": Evil()})),
            "cut short|code",
        ),
        "cut.pth": (lambda p: p.write_bytes(whole.read_bytes()[:20_000]), "cut short"),
        "cut.safetensors": (
            lambda p: p.write_bytes((folder / "whole.safetensors").read_bytes()[:500]),
            "cut short",
        ),
        "empty.pth": (lambda p: p.write_bytes(b""), "is empty"),
        "image.pt": (
            lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99)),
            "cut short or no",
        ),
        "text.pth": (
            lambda p: p.write_text("hello, this is no model"),
            "cut short or no",
        ),
        "number.pth": (lambda p: torch.save(7, p), "no weights by name"),
        "other.pth": (
            lambda p: torch.save({"fc.weight": torch.zeros(3)}, p),
            "no model that can",
        ),
    }
    made = {}
    for name, (make, word) in files.items():
        make(folder / name)
        made[name] = (folder / name, word)
    return made


def test_bad_files_are_refused_with_a_sentence_and_leave_nothing(tmp_path: Path):
    import os

    for path, word in bad_files(tmp_path).values():
        with pytest.raises(ModelError, match=word):
            catalog.import_file(path)
    with pytest.raises(ModelError, match="There is no file"):
        catalog.import_file(tmp_path / "nowhere.pth")
    assert "SESAMI_WAS_HERE" not in os.environ
    assert not catalog.folder().exists() or not any(catalog.folder().iterdir())


def test_names_are_safe_and_unique(sam_file: Path):
    entry = catalog.import_file(sam_file, name="../../ evil name")
    assert entry.name == "evil-name"
    assert entry.path.parent.parent == catalog.folder()
    with pytest.raises(ModelError, match="already"):
        catalog.import_file(sam_file, name="evil-name")
    with pytest.raises(ModelError, match="no model “nothing”"):
        catalog.find("nothing")
    with pytest.raises(ModelError, match="can be downloaded"):
        load_prompt_model("sam-vit-b")


def test_non_commercial_weights_are_marked(sam_file: Path):
    entry = catalog.import_file(sam_file, licence="CC-BY-NC-4.0")
    assert entry.non_commercial
    assert "NOT FOR COMMERCIAL USE" in catalog.info("my-sam")
    marked = [k for k in KNOWN if "NC" in k.licence]
    assert marked and all(k.non_commercial for k in marked)


def test_damaged_weights_are_noticed(sam_file: Path):
    entry = catalog.import_file(sam_file)
    with entry.path.open("r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    assert not catalog.verify("my-sam")
    (entry.path.parent / "card.json").write_text("{")
    assert "my-sam" not in [e.name for e in catalog.entries()]


def test_medsam_is_read_with_pixels_from_0_to_1(tmp_path: Path):
    path = tmp_path / "medsam_vit_b.pth"
    torch.save(build_tiny_sam().sam.state_dict(), path)
    assert catalog.import_file(path).options == {"unit_pixels": True}
    imported = load_prompt_model("medsam_vit_b", device="cpu")
    assert (
        imported.key
        == load_prompt_model(path, device="cpu").key
        != build_tiny_sam().key
    )


# --- download, from a server of our own


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves ranges, and notes what was asked."""

    asked: ClassVar[list[str | None]] = []
    etag = '"one"'

    def do_GET(self) -> None:
        data = Path(self.translate_path(self.path)).read_bytes()
        wanted = self.headers.get("Range")
        type(self).asked.append(wanted)
        if wanted and self.headers.get("If-Range") == self.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header(
                "Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}"
            )
            data = data[start:]
        else:
            self.send_response(200)
        self.send_header("ETag", self.etag)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        try:
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client stopped

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path):
    place = tmp_path / "served"
    place.mkdir()
    Handler.asked, Handler.etag = [], '"one"'
    served = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(place))
    )
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield place, f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()
    thread.join()


def known(server, seed: int = 5, **changes) -> Known:
    place, address = server
    path = place / "tiny.pth"
    torch.save(build_tiny_sam(seed).sam.state_dict(), path)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    facts = {"sha256": checksum, "licence": "Apache-2.0", **changes}
    return Known("tiny", "Tiny", "prompt", f"{address}/tiny.pth?download=1", **facts)


def test_a_download_shows_progress_and_is_installed(server):
    told: list[tuple[int, int]] = []
    entry = catalog.download(
        "tiny", progress=lambda *a: told.append(a), known=known(server)
    )
    assert entry.source == "downloaded" and entry.origin.startswith("http://127.0.0.1")
    assert told[-1][0] == told[-1][1] > 100_000
    assert load_prompt_model("tiny", device="cpu").key == build_tiny_sam(5).key
    with pytest.raises(ModelError, match="already"):
        catalog.download("tiny", known=known(server))


def test_a_stopped_download_goes_on_where_it_was(server):
    weights, told = known(server), []
    with pytest.raises(Cancelled):
        catalog.download(
            "tiny",
            progress=lambda *a: told.append(a),
            stop=lambda: len(told) >= 3,
            known=weights,
        )
    stopped_at = told[-1][0]
    entry = catalog.download("tiny", known=weights)
    assert Handler.asked[-1] == f"bytes={stopped_at}-"
    assert entry.name == "tiny"
    assert not any((catalog.folder().parent / "downloads").iterdir())


def test_a_file_that_changed_meanwhile_is_fetched_whole(server):
    told: list = []
    with pytest.raises(Cancelled):
        catalog.download(
            "tiny",
            progress=lambda *a: told.append(a),
            stop=lambda: len(told) >= 3,
            known=known(server),
        )
    Handler.etag = '"two"'
    catalog.download("tiny", known=known(server, seed=6))
    assert load_prompt_model("tiny", device="cpu").key == build_tiny_sam(6).key


def test_a_wrong_checksum_is_refused_and_deleted(server):
    with pytest.raises(ModelError, match="checksum"):
        catalog.download("tiny", known=known(server, sha256="0" * 64))
    assert not any((catalog.folder().parent / "downloads").iterdir())
    assert "tiny" not in [e.name for e in catalog.entries()]


def test_without_a_network_a_sentence_says_what_to_do():
    nowhere = Known("far", "Far", "prompt", "http://127.0.0.1:9/far.pth", "MIT")
    with pytest.raises(ModelError, match="import it"):
        catalog.download("far", known=nowhere)
    with pytest.raises(ModelError, match="is not known"):
        catalog.download("nothing")


def test_a_missing_file_on_the_server_is_said(server, monkeypatch):
    monkeypatch.setattr(Handler, "do_GET", lambda self: self.send_error(404))
    with pytest.raises(ModelError, match="404"):
        catalog.download("tiny", known=known(server))


def test_the_table_of_known_weights_is_sound():
    assert len({k.name for k in KNOWN}) == len(KNOWN)
    for item in KNOWN:
        assert item.url.startswith("https://") and item.licence and item.card
        assert item.sha256 is None or len(bytes.fromhex(item.sha256)) == 32
        assert "\n" not in item.card
    text = catalog.info("mae-vit-b")
    assert "NOT FOR COMMERCIAL USE" in text and "cannot be checked" in text


def test_cards_are_json_for_people(sam_file: Path):
    entry = catalog.import_file(sam_file, card="Ähnlich wie µm")
    told = json.loads((entry.path.parent / "card.json").read_text(encoding="utf-8"))
    assert told["card"] == "Ähnlich wie µm"


@pytest.mark.parametrize("wish", ["auto", "cpu"])
def test_a_device_comes_with_its_reason(wish: str):
    choice = choose_device(wish)
    assert torch.ones(1, device=choice.name).item() == 1
    assert choice.reason.endswith(".")


def test_an_impossible_device_is_a_sentence():
    with pytest.raises(ModelError, match="is no device"):
        choose_device("banana")
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="Use cpu"):
            choose_device("cuda")


def test_the_room_opens_without_torch():
    import subprocess
    import sys

    code = (
        "import sys, napari_sesami.models as m, napari_sesami.prompt\n"
        "m.catalog.entries(); m.catalog.available()\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
