"""Encoders that give a token per patch."""
