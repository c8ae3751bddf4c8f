"""The page of defect classes: a gallery of pairs, class keys, confusion, review."""
