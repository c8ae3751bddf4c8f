"""Teach the judge of clicks on procedural scans; measure it on families left out."""
