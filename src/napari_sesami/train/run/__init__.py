"""One training as a folder and a process: events, orders, state."""
