"""README and docs tell the truth: commands, links, and what their snippets import."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from napari_sesami.cli import build_parser

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
FILE = re.compile(r"`([\w-]+/[\w./-]+\.(?:py|toml|sh))`")
PLACEHOLDER = re.compile(r"[A-Z]{3}").search  # FORMAT.py, VERB.py
SCRIPT = re.compile(r"(?:python|pytest|bash) ((?:scripts|tests|docs)/[\w./-]+)")


def commands() -> dict[str, set[str]]:
    """Verbs of the command line, each with its own verbs."""

    def choices(parser) -> dict:
        found = [a.choices for a in parser._actions if isinstance(a.choices, dict)]
        return found[0] if found else {}

    return {name: set(choices(p)) for name, p in choices(build_parser()).items()}


def test_the_table_of_commands_has_each_command_and_no_other():
    text = (ROOT / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| (`sesami [^|]+) \|", text, re.MULTILINE)
    told = [re.findall(r"`(?:sesami )?([^`]+)`", row) for row in rows]
    verbs = {row[0].split()[0] for row in told}
    assert verbs == set(commands())
    for row in told:
        verb, *rest = row[0].split()
        own = commands()[verb]
        if own:
            assert {*rest[:1], *row[1:]} == own, verb


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_import_what_they_name(page):
    for snippet in SNIPPET.findall(page.read_text("utf-8")):
        for node in ast.walk(ast.parse(snippet)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    import_module(alias.name)
            elif isinstance(node, ast.ImportFrom) and node.module:
                module = import_module(node.module)
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    if not hasattr(module, alias.name):
                        import_module(whole)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    targets = [t for t in LINK.findall(text) if "://" not in t]
    gone = [t for t in targets if not (page.parent / t).exists()]
    gone += [t for t in SCRIPT.findall(text) if not (ROOT / t.rstrip(".")).exists()]
    assert gone == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_are_there(page):
    named = [n for n in FILE.findall(page.read_text("utf-8")) if not PLACEHOLDER(n)]
    homes = (ROOT, ROOT / "src" / "napari_sesami")
    assert [n for n in named if not any((h / n).exists() for h in homes)] == []


def test_each_page_of_the_docs_is_in_their_index():
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages - set(re.findall(r"\(([\w-]+\.md)\)", index)) == set()
