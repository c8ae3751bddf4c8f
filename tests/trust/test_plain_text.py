"""Names from files are shown letter by letter: labels and tool tips take no HTML."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

VIEWER = Path(__file__).parents[2] / "src" / "napari_sesami" / "viewer"
NAME = "<h1>BIG<font color=red>x</font></h1>.emd"
PICTURES = {"maps_box.py", "question_box.py", "why_box.py", "pictures.py"}
"""Labels there that begin empty hold pictures or numbers."""


def test_labels_and_tips_of_the_panels_show_names_as_they_are(qtbot) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QLabel, QPushButton

    from napari_sesami.scan import ImageInfo
    from napari_sesami.viewer.widgets.factory import named, note
    from napari_sesami.viewer.widgets.image_chooser import ImageChooser
    from napari_sesami.viewer.widgets.plain import plain_tip

    made = note(NAME, "a note", NAME)
    qtbot.addWidget(made)
    assert made.textFormat() == Qt.TextFormat.PlainText and made.text() == NAME
    assert "&lt;h1&gt;BIG" in made.toolTip()
    button = named(QPushButton(), f"first\n{NAME}")
    qtbot.addWidget(button)
    assert "first<br>&lt;h1" in button.toolTip()
    assert plain_tip("an ordinary tip, 3 × 4") == "an ordinary tip, 3 × 4"
    images = [ImageInfo(NAME, NAME, (3, 4), "uint8")] * 2
    chooser = ImageChooser(NAME, images)
    qtbot.addWidget(chooser)
    for label in chooser.findChildren(QLabel):
        if NAME in label.text():
            assert label.textFormat() == Qt.TextFormat.PlainText


@pytest.mark.parametrize("path", sorted(VIEWER.rglob("*.py")), ids=lambda p: p.stem)
def test_no_label_is_made_that_takes_what_it_gets_for_html(path: Path) -> None:
    """A label whose words are not written in the code goes through a maker."""
    tree = ast.parse(path.read_text("utf-8"))
    safe: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "named", "plain_label", "isinstance",
        ):  # fmt: skip
            safe |= set(ast.walk(node))
    wrong = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) not in (
            "QLabel", "QElidingLabel",
        ):  # fmt: skip
            continue
        fixed = all(isinstance(a, ast.Constant) for a in node.args)
        if node in safe or (fixed and (node.args or path.name in PICTURES)):
            continue
        wrong.append(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
    own_words = {"options_box.py", "key_help.py", "maps_box.py"}  # from our own tables
    assert not wrong or path.name in own_words, wrong
