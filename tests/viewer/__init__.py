"""GUI tests: real windows, real mouse and keys."""
