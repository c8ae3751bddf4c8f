"""The active-learning study: what choosing saves, on a scan with truth."""

from napari_sesami.lab.active.rounds import Cycle, Plan, judge_fully, run_active
from napari_sesami.lab.active.study import Study

__all__ = ["Cycle", "Plan", "Study", "judge_fully", "run_active"]
