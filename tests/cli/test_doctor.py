"""The doctor names what is wrong and what to do."""

from __future__ import annotations

import os

import pytest

from napari_sesami.cli import doctor, main


def test_a_mismatched_torchvision_is_named(monkeypatch):
    def python(code: str) -> tuple[bool, str]:
        if "torchvision" in code:
            return False, "RuntimeError: operator torchvision::nms does not exist"
        return True, "2.13.0+cpu"

    monkeypatch.setattr(doctor, "_python", python)
    finding = doctor.check_torch()
    assert finding.verdict == "problem"
    assert "2.13.0+cpu" in finding.text and "nms" in finding.text
    assert "--force-reinstall torch torchvision" in finding.advice


@pytest.mark.parametrize(
    ("answer", "verdict", "word"),
    [
        ((True, "yes RTX 4090, 24 GB"), "ok", "RTX 4090"),
        ((True, "build"), "note", "CPU build"),
        ((True, "none"), "note", "no CUDA device"),
        ((False, "CUDA driver too old"), "problem", "driver too old"),
    ],
)
def test_the_gpu_is_found_or_the_reason_is_given(monkeypatch, answer, verdict, word):
    monkeypatch.setattr(doctor, "_python", lambda code: answer)
    finding = doctor.check_gpu()
    assert finding.verdict == verdict
    assert word in finding.text


def test_the_precision_is_told_with_its_reason(monkeypatch):
    finding = doctor.check_precision()
    assert finding.verdict == "ok"
    assert "bfloat16: " in finding.text or "float32: " in finding.text
    monkeypatch.setattr(doctor, "_python", lambda code: (False, "no torch"))
    assert "no torch" in doctor.check_precision().text


def test_a_missing_qt_binding_is_a_problem(monkeypatch):
    monkeypatch.setattr(doctor, "_python", lambda code: (False, "QtBindingsNotFound"))
    finding = doctor.check_qt()
    assert finding.verdict == "problem"
    assert "napari[all]" in finding.advice


def test_offscreen_qt_is_called_a_problem(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert "empty canvas" in doctor.check_screen().text


def test_an_unwritable_cache_is_a_problem(monkeypatch, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    monkeypatch.setenv("SESAMI_HOME", str(blocker / "cache"))
    finding = doctor.check_cache()
    assert finding.verdict == "problem"
    assert "SESAMI_HOME" in finding.advice


def test_a_writable_cache_is_left_clean(monkeypatch, tmp_path):
    monkeypatch.setenv("SESAMI_HOME", str(tmp_path / "home"))
    assert doctor.check_cache().verdict == "ok"
    assert os.listdir(tmp_path / "home") == []


def test_a_crash_of_a_library_is_caught():
    ok, text = doctor._python("import os; os.abort()")
    assert not ok
    assert "signal 6" in text


def test_the_command_reports_and_fails_on_a_problem(monkeypatch, capsys):
    good = doctor.Finding("Python", "ok", "3.11")
    bad = doctor.Finding("Qt", "problem", "none", "install one")
    monkeypatch.setattr(doctor, "CHECKS", (lambda: good, lambda: bad))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "PROBLEM  Qt: none" in out and "→ install one" in out
