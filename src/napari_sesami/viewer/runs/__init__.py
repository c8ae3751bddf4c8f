"""The page of trainings in the background."""
