"""Opening a file in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sesami.viewer.app.jobs import Job


class Opening:
    """The job of opening a file: a Scan, or path and images if one must be chosen."""

    def __init__(self, path: Path, image: str | None) -> None:
        self.path, self.image = path, image

    def __call__(self, job: Job) -> Any:
        """Open the file; return its path and images if one must be chosen."""
        from napari_sesami.scan import list_images, open_scan

        if self.image is None:
            images = list_images(self.path)
            if len(images) > 1:
                return self.path, images
        job.check()
        scan = open_scan(self.path, self.image)
        job.check()
        _ = scan.normalisation  # read the sample of pixels here, not on the GUI thread
        return scan
