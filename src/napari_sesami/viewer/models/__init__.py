"""The page of models, installed and available."""
