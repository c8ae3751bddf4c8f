"""Tables of semi-supervised training on procedural devices, and of fixed budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from napari_sesami.lab.semi.budget import evaluate_budget
    from napari_sesami.lab.semi.study import evaluate_semi

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={"budget": ["evaluate_budget"], "study": ["evaluate_semi"]},
)
