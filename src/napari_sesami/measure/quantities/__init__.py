"""The quantities of a recipe, one file for those that are found alike."""
