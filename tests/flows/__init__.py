"""A click, a stroke and a run, followed from end to end with their calls counted."""
