"""The tables of the model card and of the papers."""
