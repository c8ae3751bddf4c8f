"""Level interfaces: how deep they lie below the origin, or above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sesami.measure.budget import ErrorBudget
from napari_sesami.measure.quantities.upright import looks
from napari_sesami.measure.work import Reading, Work, level_edge

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari_sesami.measure.recipe import Measurement


def level(work: Work, m: Measurement, only: Collection[int] | None) -> list[Reading]:
    """Measure the signed depth of one interface at the middle of its length."""
    assert m.between is not None
    one, other = (work.site.class_id(name) for name in m.between)
    edge = level_edge(work.site, work.frame, one, other)
    if edge is None:
        return [Reading(status="not_found")]
    if not edge.ok or edge.fit is None:
        return [Reading(status=edge.status, **looks(edge))]
    point = edge.guide.at(np.zeros(1), edge.offsets(np.zeros(1)))[0]
    depth, across = work.frame.coordinates(point)
    u = float(np.sqrt(edge.fit.covariance[0, 0]))
    line = work.frame.points([[0.0, across], [depth, across]])
    return [
        Reading(
            value=float(depth),
            budget=ErrorBudget.of(
                edge=(u, edge.fit.dof),
                model=edge.fit.model_shift,
                tilt=abs(float(across)) * work.frame.u_angle,
            ),
            n=len(edge.fit.blocks),
            lines=[line],
            length=edge.guide.length,
            **looks(edge),
        )
    ]
