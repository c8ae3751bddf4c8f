"""Dimensions from labels and grey values, with units and error bars.

A label says where to look, never where an edge is: raw grey values are fitted, every
number carries its error budget, and where nothing is found there is no number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from napari_sesami.measure.budget import (
        SCOPES,
        ErrorBudget,
        coverage_factor,
        stated,
    )
    from napari_sesami.measure.control_chart import (
        chart_of,
        ewma,
        gauge_study,
        western_electric,
    )
    from napari_sesami.measure.edge import NearPixels, fit_step, polynomial
    from napari_sesami.measure.errors import MeasureError
    from napari_sesami.measure.features import FoundFeature
    from napari_sesami.measure.files import load_results, save_xlsx
    from napari_sesami.measure.film_stack import fit_stack
    from napari_sesami.measure.guide import StraightGuide
    from napari_sesami.measure.kinds import KINDS
    from napari_sesami.measure.labelled import FileLabels, ScanWithLabels, scan_files
    from napari_sesami.measure.live import LiveMeasurement
    from napari_sesami.measure.lot import LotResults, measure_lot, verify
    from napari_sesami.measure.overlay import draw_overlay
    from napari_sesami.measure.picked import (
        classes_for,
        with_quantity,
        without_quantity,
    )
    from napari_sesami.measure.plots import TERM_COLORS, curve, histogram
    from napari_sesami.measure.recipe import Limits, Measurement, Recipe
    from napari_sesami.measure.results import STATUSES, Result, Results
    from napari_sesami.measure.roughness import palasantzas, roughness_of
    from napari_sesami.measure.run import measure, results_of
    from napari_sesami.measure.sem_edge import sem_profile
    from napari_sesami.measure.site import Site
    from napari_sesami.measure.work import Work

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "budget": ["SCOPES", "ErrorBudget", "coverage_factor", "stated"],
        "errors": ["MeasureError"],
        "kinds": ["KINDS"],
        "control_chart": ["chart_of", "ewma", "gauge_study", "western_electric"],
        "features": ["FoundFeature"],
        "files": ["load_results", "save_xlsx"],
        "labelled": ["FileLabels", "ScanWithLabels", "scan_files"],
        "live": ["LiveMeasurement"],
        "lot": ["LotResults", "measure_lot", "verify"],
        "overlay": ["draw_overlay"],
        "picked": ["classes_for", "with_quantity", "without_quantity"],
        "plots": ["TERM_COLORS", "curve", "histogram"],
        "recipe": ["Limits", "Measurement", "Recipe"],
        "results": ["STATUSES", "Result", "Results"],
        "edge": ["NearPixels", "fit_step", "polynomial"],
        "film_stack": ["fit_stack"],
        "guide": ["StraightGuide"],
        "roughness": ["palasantzas", "roughness_of"],
        "run": ["measure", "results_of"],
        "sem_edge": ["sem_profile"],
        "site": ["Site"],
        "work": ["Work"],
    },
)
