"""Segment Anything models and their encoder, made faster."""
