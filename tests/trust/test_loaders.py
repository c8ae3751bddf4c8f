"""Every loader of the package: names are kept inside, values are checked by schema."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from napari_sesami.common.inside import OutsideError, inside, no_links, plain_name

ROOT = Path(__file__).parents[2] / "src" / "napari_sesami"
RAW = {
    "json.loads", "json.load", "tomllib.loads", "tomllib.load", "np.load",
    "torch.load", "safe_open", "load_file", "pickle.load", "pickle.loads",
    "zlib.decompress", "yaml.load", "marshal.loads", "joblib.load", "np.fromfile",
    "shutil.unpack_archive", "zipfile.ZipFile", "tarfile.open",
}  # fmt: skip
"""Calls that take bytes of a file for values."""
ALLOWED = {
    "common/checked.py": "the checked way itself",
    "train/config.py": "run.toml: the text goes through pydantic, strictly",
    "train/engine/snapshot.py": "a checkpoint whose checksums were compared",
    "models/weights.py": "foreign weights, as numbers only",
    "models/adapters.py": "the header goes through pydantic",
    "retrieve/bank_file.py": "card and tensors are checked against what they must be",
    "retrieve/token_store.py": "a cache of our own: mapped, other shapes are not used",
    "prompt/embeddings.py": "a cache of our own, with its key in the file",
    "noise/noise_fit.py": "JSON text goes through pydantic, with bounds",
    "prompt/pool/judge.py": "comes with the package, and its names are compared",
    "measure/recipe.py": "TOML text goes through the schema of recipes, with its line",
    "measure/labelled.py": "JSON inside of a TIFF; damage tells no names of classes",
    "scan/samples.py": "comes with the package",
    "scan/readers/emd.py": "JSON inside of an instrument's file; damage tells nothing",
}
"""Files that may do so, and why; a new one needs a reason and a test of its own."""


def calls(path: Path) -> set[str]:
    """Names of all functions that a file calls."""
    tree = ast.parse(path.read_text("utf-8"))
    return {
        ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)
    }


def test_whoever_reads_a_file_reads_it_checked() -> None:
    found = {}
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith("lab/"):
            raw = {c for c in calls(path) if c in RAW or c.endswith(".fromfile")}
            if raw and name not in ALLOWED:
                found[name] = raw
    assert not found, f"use common.checked, or give a reason in ALLOWED: {found}"


def test_every_reason_is_still_needed() -> None:
    unused = [name for name in ALLOWED if not RAW & calls(ROOT / name)]
    assert unused == []


def test_nothing_is_run_that_was_read() -> None:
    never = {"eval", "exec", "pickle.load", "pickle.loads", "os.system", "__import__"}
    for path in ROOT.rglob("*.py"):
        assert not never & calls(path), path
        assert "shell=True" not in path.read_text("utf-8"), path
        for match in re.finditer(
            r"torch\.load\((.*?)\)", path.read_text("utf-8"), re.S
        ):
            inner = path.read_text("utf-8")[match.start() : match.start() + 200]
            assert "weights_only=True" in inner, path


def test_processes_of_ours_take_no_module_from_the_current_folder() -> None:
    """Each command that starts our Python has -P."""
    for path in ROOT.rglob("*.py"):
        text = path.read_text("utf-8")
        for start in re.finditer(
            r"\[\s*(?:str\(python\)|_python\(\)|sys\.executable),", text
        ):
            after = text[start.end() : start.end() + 12]
            assert '"-P"' in after, f"{path}: {after!r}"


@pytest.mark.parametrize(
    "name",
    [
        "..", ".", "", "../x", "a/b", "/etc/passwd", "a\\b", "a\0b", "a\nb", "x" * 300,
        " .. ", "...",
    ],
)  # fmt: skip
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutsideError):
        inside(tmp_path, name)
    with pytest.raises(OutsideError):
        plain_name(name)


@pytest.mark.parametrize("name", ["a", "0001-scan", "Ä µ.tif", "x.y.z", "-", "a b"])
def test_a_plain_name_is_taken(tmp_path: Path, name: str) -> None:
    assert inside(tmp_path, name) == tmp_path / name


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "link").symlink_to(tmp_path / "there")
    with pytest.raises(OutsideError, match="is a link to elsewhere"):
        inside(tmp_path / "home", "link", "file")
    with pytest.raises(OutsideError):
        no_links(tmp_path / "home", "other", "link")
    (tmp_path / "alias").symlink_to(tmp_path / "home")  # what the user chose may be one
    assert inside(tmp_path / "alias", "file").parent == tmp_path / "alias"
