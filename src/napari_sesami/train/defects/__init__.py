"""Recipe `pairs-classifier`: an encoder fine-tuned on labelled pairs of defects."""
