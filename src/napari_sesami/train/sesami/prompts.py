"""First prompts of a batch, drawn from what each example offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def first_prompts(
    batch: dict[str, Tensor], box_share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Clicks for most objects, a box for some, with or without a click.

    Returns
    -------
    tuple of Tensor
        Points (P, N, 2), labels (P, N) as in `prompt_losses`, and whether the prompt
        is clear (a box, or more than one click), so that one mask answers it.
    """
    clicks, kinds = batch["clicks"].flatten(0, 1), batch["kinds"].flatten(0, 1)
    boxes = batch["boxes"].flatten(0, 1)
    dice = torch.rand(len(clicks), generator=generator).to(clicks.device)
    boxed = dice < box_share
    only = dice < 0.8 * box_share  # the other boxes come with their clicks
    kinds = torch.where(only[:, None], -1, kinds)
    corners = torch.where(boxed[:, None], torch.tensor([2, 3]).to(kinds), -1)
    points = torch.cat([clicks, boxes.view(-1, 2, 2) - 0.5], 1)
    several = (kinds >= 0).sum(1) > 1
    return points, torch.cat([kinds, corners], 1), boxed | several
