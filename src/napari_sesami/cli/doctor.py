"""`sesami doctor`: what is wrong with an installation, in plain words.

Each check runs in a process of its own: a library that crashes while it is imported
(as torch and torchvision of different builds do) must not take the doctor with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

Verdict = Literal["ok", "note", "problem"]
SECONDS = 120  # a first import of torch from a network drive can take a minute


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    commands.add_parser("doctor", help="say what is wrong with this installation")


def run(arguments: argparse.Namespace) -> int:
    """Print what every check found; return 1 if something needs a hand."""
    marks = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}
    problems = 0
    for finding in examine():
        print(f"{marks[finding.verdict]}  {finding.title}: {finding.text}", flush=True)
        if finding.advice:
            print(f"         → {finding.advice}")
        problems += finding.verdict == "problem"
    print("Something needs your hand." if problems else "All is well.")
    return 1 if problems else 0


@dataclass(frozen=True)
class Finding:
    """What one check found and, if something is wrong, what to do."""

    title: str
    verdict: Verdict
    text: str
    advice: str = ""


def examine() -> Iterator[Finding]:
    """Run every check, one finding at a time."""
    for check in CHECKS:
        yield check()


def _python(code: str) -> tuple[bool, str]:
    """Run code in a fresh interpreter; return success and its last line."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-W", "ignore", "-c", code],
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer within {SECONDS} s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    if done.returncode < 0:
        return False, f"the process was ended by signal {-done.returncode}"
    return done.returncode == 0, lines[-1] if lines else ""


def check_python() -> Finding:
    """Say which Python this is: often it is not the one the user thinks."""
    return Finding("Python", "ok", f"{sys.version.split()[0]} at {sys.executable}")


def check_torch() -> Finding:
    """Torch and torchvision must come from the same build."""
    ok, torch = _python("import torch; print(torch.__version__)")
    if not ok:
        return Finding("torch", "problem", torch, "pip install torch torchvision")
    ok, vision = _python(
        "import torch, torchvision; from torchvision.ops import nms;"
        "nms(torch.zeros(1, 4), torch.zeros(1), 0.5); print(torchvision.__version__)"
    )
    if not ok:
        return Finding(
            "torch and torchvision",
            "problem",
            f"torch {torch} and the torchvision beside it do not fit ({vision}).",
            "Install both from the same place in one command: "
            "pip install --force-reinstall torch torchvision",
        )
    return Finding("torch and torchvision", "ok", f"{torch} and {vision}")


GPU_CODE = """
import torch
if torch.cuda.is_available():
    p = torch.cuda.get_device_properties(0)
    torch.zeros(1, device="cuda").item()
    print(f"yes {p.name}, {p.total_memory / 2**30:.0f} GB")
elif torch.version.cuda is None and torch.version.hip is None:
    mps = torch.backends.mps.is_available()
    print("yes Apple GPU (mps)" if mps else "build")
else:
    print("none")
"""


def check_gpu() -> Finding:
    """A graphics card is welcome, never required; say why there is none."""
    ok, text = _python(GPU_CODE)
    if not ok:
        return Finding(
            "GPU",
            "problem",
            f"there is one, but torch cannot use it: {text}",
            "Update the graphics driver, or choose the device 'cpu' in the settings.",
        )
    if text.startswith("yes "):
        return Finding("GPU", "ok", text.removeprefix("yes "))
    slow = "Everything works on the CPU; large encoders are slower there."
    if text == "build":
        return Finding("GPU", "note", f"this torch is a CPU build. {slow}")
    why = "torch sees no CUDA device"
    if not any(Path("/dev").glob("nvidia[0-9]*")) and sys.platform == "linux":
        why += " (the system has no /dev/nvidia0: no card, or no driver)"
    return Finding("GPU", "note", f"{why}. {slow}")


PRECISION_CODE = """
from napari_sesami.models import choose_device, choose_precision
device = choose_device().name
print(f"on {device} {choose_precision(device).reason}")
"""


def check_precision() -> Finding:
    """Say how the bundled model computes here, and why."""
    ok, text = _python(PRECISION_CODE)
    if ok:
        return Finding("precision", "ok", f"the bundled model computes {text}")
    return Finding("precision", "note", f"not known: {text}")


def check_qt() -> Finding:
    """Napari needs one Qt binding."""
    ok, text = _python(
        "import qtpy; from qtpy.QtWidgets import QApplication;"
        "print(qtpy.API_NAME, qtpy.QT_VERSION)"
    )
    if ok:
        return Finding("Qt", "ok", text)
    return Finding(
        "Qt",
        "problem",
        f"no usable Qt binding: {text}",
        'pip install "napari[all]" (scripts and the command line work without).',
    )


GL_CODE = """
from qtpy.QtGui import QOffscreenSurface, QOpenGLContext
from qtpy.QtWidgets import QApplication
app = QApplication([])
context = QOpenGLContext()
assert context.create(), "no OpenGL context"
surface = QOffscreenSurface(); surface.setFormat(context.format()); surface.create()
assert context.makeCurrent(surface), "the OpenGL context cannot be made current"
f = context.format()
print(f"OpenGL {f.majorVersion()}.{f.minorVersion()}")
"""


def has_screen() -> bool:
    """Whether a window could be opened here."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def check_screen() -> Finding:
    """Napari's canvas needs a screen with OpenGL."""
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        return Finding(
            "screen",
            "problem",
            "QT_QPA_PLATFORM=offscreen gives napari an empty canvas.",
            "Unset it, and use a real or virtual screen (xvfb-run).",
        )
    if not has_screen():
        advice = "Use sesami's commands without a window, or start with xvfb-run."
        return Finding("screen", "note", "none (DISPLAY is not set)", advice)
    ok, text = _python(GL_CODE)
    if ok:
        return Finding("screen", "ok", text)
    return Finding(
        "screen",
        "problem",
        f"a screen, but no OpenGL: {text}",
        "On Debian: apt-get install libegl1 libgl1 libgl1-mesa-dri libxcb-cursor0",
    )


def cache_folder() -> Path:
    """Where embeddings, models and settings of the package are kept."""
    from napari_sesami.common.home import home

    return home()


def check_cache() -> Finding:
    """The cache folder must be writable and have room."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as probe:
            probe.write(b"sesami")
            probe.flush()
    except OSError as error:
        advice = "Set SESAMI_HOME to a folder you may write to."
        return Finding("cache folder", "problem", f"{folder}: {error}", advice)
    free = _free_bytes(folder) / 2**30
    if free < 1:
        advice = "Free some space, or set SESAMI_HOME to another drive."
        return Finding("cache folder", "problem", f"{folder}: {free:.1f} GB", advice)
    return Finding("cache folder", "ok", f"{folder} ({free:.0f} GB free)")


def _free_bytes(folder: Path) -> int:
    import shutil

    return shutil.disk_usage(folder).free


def check_plugin() -> Finding:
    """Napari must find the plugin's manifest."""
    ok, text = _python(
        "from npe2 import PluginManager as P; p = P(); p.discover();"
        "m = p.get_manifest('napari-sesami'); print(m.display_name, m.package_version)"
    )
    if ok:
        return Finding("napari plugin", "ok", text)
    advice = "python -m pip install --force-reinstall --no-deps napari-sesami"
    return Finding("napari plugin", "problem", f"napari cannot find it: {text}", advice)


def check_versions() -> Finding:
    """Name the libraries that are older than what the tests run with."""
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(text) for text in requires("napari-sesami") or ()]
    except PackageNotFoundError:
        return Finding("versions", "note", "not known: the package is not installed")
    old, missing = [], []
    for need in wanted:
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            has = version(need.name)
        except PackageNotFoundError:
            missing.append(need.name)
            continue
        if not need.specifier.contains(has, prereleases=True):
            old.append(f"{need.name} {has} (needs {need.specifier})")
    if not old and not missing:
        return Finding("versions", "ok", "no library is outdated or missing")
    told = [f"outdated: {', '.join(old)}"] if old else []
    told += [f"missing: {', '.join(missing)}"] if missing else []
    advice = "python -m pip install --upgrade napari-sesami"
    return Finding("versions", "problem", "; ".join(told), advice)


CHECKS: tuple[Callable[[], Finding], ...] = (
    check_python,
    check_versions,
    check_torch,
    check_gpu,
    check_precision,
    check_qt,
    check_screen,
    check_plugin,
    check_cache,
)
