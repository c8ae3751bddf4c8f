"""Napari layers for all features: previews, results, heat maps, the mouse."""
