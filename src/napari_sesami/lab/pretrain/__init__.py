"""Train the bundled model, sesami-nano, on procedural scenes."""

from napari_sesami.lab.pretrain.command import prepare_run

__all__ = ["prepare_run"]
