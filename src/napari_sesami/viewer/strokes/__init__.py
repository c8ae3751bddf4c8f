"""The page that labels the whole scan from a few strokes."""
