"""Teach the judge of clicks on procedural scans, and measure it on families left out."""
