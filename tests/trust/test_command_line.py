"""Mistakes on the command line are a sentence and an exit code before work starts."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from napari_sesami.cli import doctor, main

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = "/proc/nowhere"  # a place where not even root may write


@pytest.mark.parametrize(
    "words",
    [
        ["info", ""],
        ["info", "nix.tif"],
        ["runs", "list", "nix"],
        ["runs", "list", "FILE"],
        ["runs", "list", "EMPTY"],
        ["runs", "show", "../../etc"],
        ["evaluate", "nano", "-n", "-3"],
        ["evaluate", "nano", "-n", "0"],
        ["evaluate", "nano", "-n", "1", "--data", "nix"],
        ["evaluate", "nano", "-n", "1", "--protocols", "nix"],
        ["evaluate", "adapters", "--out", NOWHERE],
        ["demo", "--headless", "-o", NOWHERE],
        ["demo", "--headless", "-o", "FILE"],
        ["demo", "--headless", "-s", "nix"],
        ["train", "TOML", "-o", NOWHERE],
        ["train", "nix.toml"],
        ["replay", "nix.sesami", "-o", NOWHERE],
        ["segment", "FILE", "-b", "nix.bank"],
        ["models", "info", "nix"],
        ["models", "download", "mae-vit-b", "--yes"],
        ["worklist", "nix"],
        ["--versio"],
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_sentence_at_once(
    words: list[str], tmp_path: Path, capsys
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "run.toml").write_text('[run]\nrecipe = "sesami"\n')
    places = {"FILE": "file", "EMPTY": "empty", "TOML": "run.toml"}
    given = [str(tmp_path / places[w]) if w in places else w for w in words]
    begun = time.process_time()
    try:
        code = main(given)
    except SystemExit as end:  # argparse
        code = int(end.code or 0)
    err = capsys.readouterr().err.strip()
    assert code != 0 and err
    assert "Traceback" not in err and "[Errno" not in err
    assert len([line for line in err.splitlines() if line.startswith("sesami")]) == 1
    assert time.process_time() - begun < 10


def test_what_the_system_says_is_a_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def full(_: object) -> int:
        raise OSError(28, "No space left on device", "/x/y")

    monkeypatch.setattr(doctor, "run", full)
    assert main(["doctor"]) == 1
    assert "The disk with /x/y is full; free some space" in capsys.readouterr().err


def test_the_doctor_names_what_is_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata as metadata

    monkeypatch.setattr(
        metadata, "requires", lambda _: ["numpy>=99", "nothing-such>=1", "scipy"]
    )
    found = doctor.check_versions()
    assert found.verdict == "problem"
    assert "numpy" in found.text and "missing: nothing-such" in found.text
    assert "scipy" not in found.text


def test_an_exported_bank_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    from napari_sesami.retrieve import RetrieveError, load_bank, save_bank
    from tests.trust.odd import card_of_bank

    bank = load_bank(card_of_bank(tmp_path))
    (tmp_path / "file").write_text("x")
    with pytest.raises(RetrieveError, match="could not be written"):
        save_bank(tmp_path / "file" / "a.bank", bank)


@pytest.mark.timeout(600)
def test_the_self_test_keeps_its_promises(tmp_path: Path) -> None:
    """No network, no pickle, nothing written elsewhere while the main job is done."""
    code = "from napari_sesami.cli import main; raise SystemExit(main(['self-test']))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for line in ("network   0 calls", "pickles   0 loaded", "elsewhere 0 files"):
        assert line in done.stdout


def test_the_self_test_notices_what_breaks_a_promise(tmp_path: Path) -> None:
    from napari_sesami.cli.self_test import Watch

    watch = Watch([tmp_path])
    watch.hear("socket.connect", (None, ("198.51.100.1", 443)))
    watch.hear("socket.connect", (None, "/run/nscd/socket"))
    watch.hear("pickle.find_class", ("os", "system"))
    watch.hear("open", (str(tmp_path / "in"), "w", 1))
    watch.hear("open", ("/elsewhere/out", "w", 1))
    watch.hear("os.remove", ("/elsewhere/gone", -1))
    assert sum(watch.network.values()) == 1 and sum(watch.pickles.values()) == 1
    assert watch.inside == 1 and len(watch.outside) == 2
