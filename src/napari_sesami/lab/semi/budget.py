"""A fixed budget of CPU seconds: where should a segmenter start from?

Each start is given the same seconds of training, and 1, 4 or 16 labelled pictures; what
starts from pretraining is not charged for it, and the table says so.
"""

from __future__ import annotations
