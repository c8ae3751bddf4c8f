"""sesami-nano, the bundled model."""
