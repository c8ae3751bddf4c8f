"""Where lots come from: one file for each kind, with a function that gives a `Lot`."""
