"""Endless random scenes for training."""
