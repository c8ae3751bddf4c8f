"""Segmenters: nets that give every pixel of a scan a class, at any size."""
