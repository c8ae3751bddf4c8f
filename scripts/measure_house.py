"""Measure how a checkout is built: sizes, circles, private imports, names, hops.

    python scripts/measure_house.py [ROOT] [--list] [--no-flows]

Everything but the flows is read from the syntax trees: nothing of the checkout is
imported. `--list` names the offenders. The flows are the tests of ROOT/tests/flows,
where there are any; they run with the interpreter that runs this script.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

PACKAGE = "napari_sesami"
LAB = ("lab", "synth")  # rooms of research code, by their names now and before
# Research code that lay among the product's rooms before there was a lab.
OLD_LAB = re.compile(
    r"train/_(foundation|evaluate|table1|rival)|session/_active|_cli_active"
)


@dataclass
class Module:
    """One file: its syntax tree and what it imports from the package.

    Attributes
    ----------
    eager
        Modules that are imported at the top of the file, for types as well.
    lazy
        Modules that only functions import.
    """

    name: str
    path: Path
    text: str
    eager: set[str] = field(default_factory=set)
    lazy: set[str] = field(default_factory=set)

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @property
    def lines(self) -> int:
        """Lines of the file, blank ones and comments too."""
        return self.text.count("\n")

    @property
    def classes(self) -> list[str]:
        """Names of the classes at the top of the file."""
        return [n.name for n in self.tree.body if isinstance(n, ast.ClassDef)]

    @property
    def room(self) -> str:
        """First folder (or file) under the package."""
        return self.name.split(".")[1] if "." in self.name else ""


class House:
    """All modules of a checkout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = root / "src" / PACKAGE
        if not self.source.is_dir():
            raise SystemExit(f"There is no {self.source}; give a checkout.")
        self.modules: dict[str, Module] = {}
        for path in sorted(self.source.rglob("*.py")):
            parts = path.relative_to(self.source).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            name = ".".join((PACKAGE, *parts))
            self.modules[name] = Module(name, path, path.read_text("utf-8"))
        for module in self.modules.values():
            self._read_imports(module)

    def _read_imports(self, module: Module) -> None:
        inside = {
            id(node)
            for function in ast.walk(module.tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
            for node in ast.walk(function)
        }
        for node in ast.walk(module.tree):
            found: set[str] = set()
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    found.add(whole if whole in self.modules else node.module)
            elif isinstance(node, ast.Import):
                found = {alias.name for alias in node.names}
            found = {f for f in found if f.split(".")[0] == PACKAGE} - {module.name}
            (module.lazy if id(node) in inside else module.eager).update(found)

    def is_lab(self, module: Module) -> bool:
        """Whether a file is research code."""
        place = module.path.relative_to(self.source).as_posix()
        return module.room in LAB or bool(OLD_LAB.search(place))

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Files and lines of product and lab."""
        found = {}
        for side, lab in (("product", False), ("lab", True)):
            mine = [m for m in self.modules.values() if self.is_lab(m) is lab]
            found[side] = len(mine), sum(m.lines for m in mine)
        return found

    def flattest(self) -> tuple[str, int]:
        """The folder with most files directly in it."""
        count = Counter(m.path.parent for m in self.modules.values())
        folder, files = count.most_common(1)[0]
        return folder.relative_to(self.root).as_posix(), files

    def circles(self, *, lazy: bool) -> list[list[str]]:
        """Groups of files that import each other in a circle, the largest first."""
        arrows = {
            m.name: {
                t for t in (m.eager | m.lazy if lazy else m.eager) if t in self.modules
            }
            for m in self.modules.values()
        }
        return sorted(
            (sorted(c) for c in _components(arrows) if len(c) > 1),
            key=len,
            reverse=True,
        )

    def private_imports(self) -> list[tuple[str, str, bool]]:
        """Imports of what lies behind another room's door: who, what, whether lab.

        A folder inside a room may have a door of its own, an `__init__` with `__all__`;
        each module of `common` is one. The viewer counts as one room here.
        """
        found = []
        for module in self.modules.values():
            for target in sorted(module.eager | module.lazy):
                parts = target.split(".")
                if len(parts) < 3 or parts[1] in (module.room, "common"):
                    continue
                if not self._is_door(target):
                    found.append((module.name, target, self.is_lab(module)))
        return found

    def _is_door(self, name: str) -> bool:
        module = self.modules.get(name)
        is_folder = module is not None and module.path.name == "__init__.py"
        return is_folder and "__all__" in module.text

    def underscore_imports(self) -> list[tuple[str, str, bool]]:
        """Imports from another room of a module or a name with an underscore."""
        found = []
        for module in self.modules.values():
            for node in ast.walk(module.tree):
                if not (isinstance(node, ast.ImportFrom) and node.module):
                    continue
                parts = node.module.split(".")
                if parts[0] != PACKAGE or len(parts) < 2 or parts[1] == module.room:
                    continue
                names = [*parts[1:], *(alias.name for alias in node.names)]
                if any(n.startswith("_") and not n.endswith("__") for n in names):
                    where = f"{node.module}: {', '.join(a.name for a in node.names)}"
                    found.append((module.name, where, self.is_lab(module)))
        return found

    def used_twice(self) -> dict[str, list[str]]:
        """Class names with the modules that define them, where these are several."""
        homes: dict[str, list[str]] = defaultdict(list)
        for module in self.modules.values():
            for name in module.classes:
                homes[name.lstrip("_")].append(module.name)
        return {n: h for n, h in sorted(homes.items()) if len(h) > 1}

    def session_names(self) -> list[str]:
        """Public names of `Session`: methods, attributes, and those it inherits."""
        classes = {
            node.name: node
            for module in self.modules.values()
            if module.room == "session"
            for node in module.tree.body
            if isinstance(node, ast.ClassDef)
        }
        names: set[str] = set()
        todo, seen = ["Session"], set()
        while todo:
            name = todo.pop()
            if name in seen or name not in classes:
                continue
            seen.add(name)
            todo += [b.id for b in classes[name].bases if isinstance(b, ast.Name)]
            names |= _names_of(classes[name])
        return sorted(n for n in names if not n.startswith("_"))

    def hops(self) -> dict[str, str]:
        """What the flow tests print: flow → hops."""
        folder = self.root / "tests" / "flows"
        if not folder.is_dir():
            return {}
        paths = os.pathsep.join((str(self.root / "src"), str(self.root)))
        told = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:xdist", str(folder)],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        return dict(re.findall(r"^\W*flow (\w+): (.+)$", told.stdout, re.MULTILINE))


def _names_of(node: ast.ClassDef) -> set[str]:
    """What a class defines: in its body, and by `self.x = …` in its methods."""
    names: set[str] = set()
    for item in node.body:
        if isinstance(item, ast.FunctionDef | ast.ClassDef):
            names.add(item.name)
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            names.add(item.target.id)
        elif isinstance(item, ast.Assign):
            names |= {t.id for t in item.targets if isinstance(t, ast.Name)}
    for item in ast.walk(node):
        targets: list[ast.expr] = []
        if isinstance(item, ast.Assign):
            for target in item.targets:
                targets += target.elts if isinstance(target, ast.Tuple) else [target]
        elif isinstance(item, ast.AnnAssign):
            targets = [item.target]
        names |= {
            t.attr
            for t in targets
            if isinstance(t, ast.Attribute)
            and isinstance(t.value, ast.Name)
            and t.value.id == "self"
        }
    return names


def _components(arrows: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components, by Tarjan's algorithm."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in arrows[node]:
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            component: set[str] = set()
            while node not in component:
                component.add(stack.pop())
            found.append(component)

    sys.setrecursionlimit(10_000)
    for node in arrows:
        if node not in order:
            visit(node)
    return found


def _split(found: list[tuple[str, str, bool]]) -> str:
    lab = sum(is_lab for _, _, is_lab in found)
    return f"{len(found) - lab} product, {lab} lab"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--list", action="store_true", help="name the offenders")
    parser.add_argument("--no-flows", action="store_true", help="read, run nothing")
    given = parser.parse_args()
    house = House(given.root.resolve())
    sizes, (folder, files) = house.sizes(), house.flattest()
    circles, all_circles = house.circles(lazy=False), house.circles(lazy=True)
    behind, underscored = house.private_imports(), house.underscore_imports()
    twice, names = house.used_twice(), house.session_names()
    largest = [len(c[0]) if c else 0 for c in (circles, all_circles)]
    over = [c for c in circles if len(c) > 3]
    rows = {
        "product": "{} files, {} lines".format(*sizes["product"]),
        "lab": "{} files, {} lines".format(*sizes["lab"]),
        "largest flat folder": f"{files} files ({folder})",
        "largest circle": f"{largest[0]} files ({largest[1]} with lazy imports)",
        "circles of over three files": str(len(over)),
        "imports behind a door": _split(behind),
        "imports of underscored names": _split(underscored),
        "class names used twice": str(len(twice)),
        "public names on Session": str(len(names)),
    }
    if not given.no_flows:
        hops = house.hops()
        for flow in ("click", "stroke", "run"):
            rows[f"hops of a {flow}"] = hops.get(flow, "–")
    for what, said in rows.items():
        print(f"{what:30} {said}")
    if given.list:
        for circle in over:
            print("\ncircle:", *circle, sep="\n  ")
        for title, imports in (("door", behind), ("underscore", underscored)):
            print(f"\nimports, {title}:")
            for module, target, _ in imports:
                print(f"  {module} ← {target}")
        print("\nclass names used twice:")
        for name, homes in twice.items():
            print(f"  {name}: {', '.join(homes)}")
        print("\nSession:", ", ".join(names))


if __name__ == "__main__":
    main()
