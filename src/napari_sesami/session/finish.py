"""What is done with a segmentation: clean it up, accept it, save it; combine banks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.session.cleanup import (
    AGREE,
    SCORE,
    SPECK,
    Cleaned,
    clean_plane,
)
from napari_sesami.session.errors import SessionError
from napari_sesami.session.learning import raising
from napari_sesami.session.segment import SessionSegment

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from napari_sesami.session.segment import Segmentation

    Progress = Callable[[int, int], None]
    Cancelled = Callable[[], bool]


class SessionFinish(SessionSegment):
    """From a segmentation to labels and files."""

    def clean(
        self,
        found: Segmentation,
        *,
        score: float = SCORE,
        agree: float = AGREE,
        speck: int = SPECK,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> tuple[Segmentation, tuple[Cleaned, ...]]:
        """Let the prompt model redraw the parts of a segmentation it agrees with.

        Parameters
        ----------
        found
            What `segment` gave; nothing in it is changed.
        score, agree
            Least quality that the model expects of its mask, and least overlap (IoU)
            of the mask with the part; below, the part stays as it is.
        speck
            Parts of fewer pixels go to the label around.
        progress, cancelled
            `progress(done, all)` counts parts of a plane; a cancelled call raises.

        Returns
        -------
        tuple
            The segmentation with other labels, and what was done on each plane.
        """
        planes = [
            clean_plane(
                self.predictor,  # type: ignore[attr-defined]
                self.scan,
                plane,
                labels,
                votes,
                score=score,
                agree=agree,
                speck=speck,
                progress=progress,
                check=raising(cancelled),
            )
            for plane, labels, votes in zip(
                found.planes, found.labels, found.votes, strict=True
            )
        ]
        labels = np.stack([cleaned for cleaned, _ in planes])
        return replace(found, labels=labels), tuple(told for _, told in planes)

    def accept(
        self,
        labels: Segmentation | Any,
        planes: Iterable[int] | None = None,
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> int:
        """Write results into the labels of many planes, as one step for undo.

        Parameters
        ----------
        labels
            A segmentation, or class ids (n, y, x): any array, also a lazy one, of
            which a plane is read when its turn comes.
        planes
            Where the planes of an array belong; by default they are those of the scan.
        overwrite
            Replace labels that are there; otherwise only pixels without one are taken.
        progress, cancelled
            `progress(done, all)` counts planes; after a cancel, what is done stays.

        Returns
        -------
        int
            How many planes changed.
        """
        found: Any = getattr(labels, "labels", labels)
        numbers = list(getattr(labels, "planes", range(self.scan.n_planes)))
        numbers = numbers if planes is None else [int(p) for p in planes]
        if len(found) != len(numbers):
            raise SessionError(
                f"{len(found)} planes of labels were given for {len(numbers)} planes; "
                "say with planes= where they belong."
            )
        changed = 0
        with self.group("accept labels"):
            for i, plane in enumerate(numbers):
                if cancelled is not None and cancelled():
                    break
                changed += self.accept_plane(found[i], plane, overwrite=overwrite)
                if progress is not None:
                    progress(i + 1, len(numbers))
        return changed

    def accept_plane(self, labels: Any, plane: int, *, overwrite: bool = False) -> bool:
        """Write a result into the labels of one plane; False if nothing changed."""
        found = np.asarray(labels)
        known = np.isin(found, list(self.classes.ids))
        now = self._work.layers["labels"].read(plane)
        allowed = known if overwrite else known & (now == 0)
        merged = np.where(allowed, found, now)
        return self.write_labels(merged, plane) is not None  # type: ignore[attr-defined]

    def save_overlapping(
        self, found: Segmentation, path: str | os.PathLike[str]
    ) -> Path:
        """Save classes that overlap: COCO (.json), or a channel per class (.zarr).

        A Zarr file takes all planes of the scan, or the only plane of the segmentation.
        """
        from napari_sesami.scan import CocoImage, CocoMask, save_channels, save_coco

        if found.multi is None:
            raise SessionError(
                "These classes do not overlap: segment with multi=True, or save the "
                "labels."
            )
        classes = list(self.classes)
        if Path(path).suffix.lower() != ".json":
            shape = (*self.scan.leading_shape, *self.scan.plane_shape)
            masks = found.multi
            whole = len(masks) == self.scan.n_planes
            masks = masks.reshape(*shape, -1) if whole else masks[0]
            if not whole and len(found.planes) > 1:
                raise SessionError(
                    f"{len(found.planes)} of {self.scan.n_planes} planes do not fill a "
                    "Zarr file: segment all of them or one, or save as .json."
                )
            channels = np.moveaxis(masks, -1, 0)
            save_channels(channels, path, like=self.scan, classes=classes)
            return Path(path)
        height, width = self.scan.plane_shape
        images = [
            CocoImage(f"{self.scan.name} plane {p}", height, width)
            for p in found.planes
        ]
        objects = [
            CocoMask(masks[..., entry.id - 1], entry.id, i)
            for i, masks in enumerate(found.multi)
            for entry in classes
            if entry.id <= masks.shape[-1] and masks[..., entry.id - 1].any()
        ]
        save_coco(objects, path, classes, images)
        return Path(path)

    def combine_banks(
        self, banks: Sequence[str | Path], path: str | Path
    ) -> tuple[Path, int]:
        """Write one bank of two or more; gives its path and how many patches it has.

        Banks of another encoder or patch size are refused in a sentence; classes are
        joined by name.
        """
        from napari_sesami.retrieve import combine, load_bank, save_bank

        if len(banks) < 2:
            raise SessionError("Choose two banks or more to combine.")
        made = load_bank(Path(banks[0]))
        for other in banks[1:]:
            made = combine(made, load_bank(Path(other)))
        save_bank(Path(path), made)
        return Path(path), len(made.rows)
