"""Where a scan comes from: a file, a folder, or an image already in the viewer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magicgui.widgets import create_widget
from qtpy.QtWidgets import QDialog, QFileDialog, QWidget

from napari_sesami.scan import readable_extensions
from napari_sesami.viewer.widgets.factory import button, column, named, row
from napari_sesami.viewer.widgets.image_chooser import ImageChooser
from napari_sesami.viewer.widgets.part import PanelPart

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_sesami.scan import ImageInfo
    from napari_sesami.viewer.app.workspace import Workspace

_EVENTS = ("inserted", "removed", "reordered", "renamed")


class ScanPicker(PanelPart, QWidget):
    """Two open buttons, and the image layers with a button to label one of them."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.workspace = workspace
        self.file_button = button("Open file…", "Open a scan of any known format")
        self.folder_button = button(
            "Open folder…", "Open a folder of slices or images, or an OME-Zarr"
        )
        self.layer_combo = create_widget(annotation="napari.layers.Image")
        named(self.layer_combo.native, "Images in the viewer", "Image to label")
        self.use_button = button("Label it", "Take the chosen image as the scan")
        for name in _EVENTS:
            self.watch(getattr(workspace.viewer.layers.events, name), self._reset)
        column(
            self,
            row((self.file_button, 1), (self.folder_button, 1)),
            row((self.layer_combo.native, 1), self.use_button),
        )
        self.file_button.clicked.connect(self.ask_file)
        self.folder_button.clicked.connect(self.ask_folder)
        self.on(self.use_button.clicked, self._use)
        self.watch(workspace.many_images, self._choose)
        self._reset()

    def _reset(self, event: object = None) -> None:
        self.layer_combo.choices = self._images()
        binding = self.workspace.binding
        if binding is not None and binding.image in self.layer_combo.choices:
            self.layer_combo.value = binding.image
        self.use_button.setEnabled(bool(self.layer_combo.choices))

    def _images(self) -> list[Image]:
        from napari.layers import Image

        return [layer for layer in self.workspace.viewer.layers if type(layer) is Image]

    def _use(self) -> None:
        layer = self.layer_combo.value
        if layer is None:
            self.workspace.say(
                "Open an image first: Open file…, or File ▸ Open Sample."
            )
            return
        self.workspace.adopt(layer)

    def ask_file(self) -> None:
        """Ask for a file and open it as a scan."""
        name, _ = QFileDialog.getOpenFileName(self, "Open a scan", "", _filter())
        if name:
            self.workspace.open(Path(name))

    def ask_folder(self) -> None:
        """Ask for a folder and open it as a scan."""
        name = QFileDialog.getExistingDirectory(self, "Open a folder as one scan")
        if name:
            self.workspace.open(Path(name))

    def _choose(self, path: Path, images: list[ImageInfo]) -> None:
        dialog = ImageChooser(path.name, images, self)
        if dialog.exec() == QDialog.DialogCode.Accepted and dialog.chosen is not None:
            self.workspace.open(path, dialog.chosen)


def _filter() -> str:
    patterns = " ".join(f"*{extension}" for extension in readable_extensions())
    return f"Scans ({patterns});;All files (*)"
