"""The training loop: steps, checkpoints, order of examples, less memory."""
