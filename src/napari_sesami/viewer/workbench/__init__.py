"""One panel with all the others as pages, in the order of the work."""
