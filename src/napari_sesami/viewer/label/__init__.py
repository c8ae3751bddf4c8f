"""The page to open a scan, name classes and paint."""
