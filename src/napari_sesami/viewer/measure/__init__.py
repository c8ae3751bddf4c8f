"""Dimensions on the canvas: pick a quantity and classes, see value ± U, export."""
