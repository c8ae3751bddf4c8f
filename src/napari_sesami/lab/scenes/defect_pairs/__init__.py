"""SEM defect review: one place at low and at high magnification."""
