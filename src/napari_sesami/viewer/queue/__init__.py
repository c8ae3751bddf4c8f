"""The page of what to label next."""
