"""XRM volumes of stacked memory."""
