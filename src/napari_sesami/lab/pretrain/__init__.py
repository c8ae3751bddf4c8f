"""Train the bundled model, sesami-nano, on procedural scenes."""
