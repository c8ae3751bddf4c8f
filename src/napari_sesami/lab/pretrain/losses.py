"""What the tokens of the bundled model learn from: votes of strokes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor


def vote_loss(
    tokens: Tensor,
    classes: Tensor,
    strokes: Tensor,
    kinds: Tensor,
    tau: Tensor,
    generator: torch.Generator,
    queries: int = 1024,
) -> tuple[Tensor, Tensor]:
    """Tokens of strokes must label both sisters by class-balanced voting.

    tokens (B, D, h, w) of length one; classes (B, H, W); strokes and kinds (B, S).
    Rows 2i and 2i + 1 are sisters. Returns the loss and the share of right votes.
    """
    b, dim, h, w = tokens.shape
    flat = tokens.flatten(2)
    bank = flat.gather(2, strokes[:, None].expand(-1, dim, -1))  # (B, D, S)
    label, pure = majority(classes, (h, w))
    pick = torch.randint(h * w, (b, queries), generator=generator).to(tokens.device)
    query = flat.gather(2, pick[:, None].expand(-1, dim, -1))
    label, pure = label.flatten(1).gather(1, pick), pure.flatten(1).gather(1, pick)
    swap = torch.arange(b, device=tokens.device) ^ 1
    query = torch.cat([query, query[swap]], 2)
    label, pure = torch.cat([label, label[swap]], 1), torch.cat([pure, pure[swap]], 1)
    score = (bank.transpose(1, 2) @ query).float() / tau  # (B, S, Q)
    n = int(torch.where(kinds == 255, 0, kinds).max()) + 1
    member = F.one_hot(torch.where(kinds == 255, n, kinds), n + 1)[..., :n].float()
    votes = torch.einsum("bsk,bsq->bkq", member, (score - score.amax().detach()).exp())
    count = member.sum(1)  # (B, n)
    logits = (votes / count.clamp(min=1)[..., None] + 1e-12).log()
    logits = logits.masked_fill((count == 0)[..., None], -30.0)
    known = (count.gather(1, label.clamp(max=n - 1)) > 0) & (label < n) & pure
    answer = label.clamp(max=n - 1)
    truth = F.one_hot(answer, n).float() * known[..., None]  # (B, Q, n)
    rarity = (1 / truth.sum(1).clamp(min=1)) ** 0.25
    weight = rarity.gather(1, answer) * known
    entropy = F.cross_entropy(logits, answer, reduction="none")
    loss = (entropy * weight).sum() / weight.sum().clamp(min=1e-6)
    right = (logits.argmax(1) == label)[known].float().mean()
    return loss + 0.5 * _class_dice(logits.softmax(1), truth, known), right


def _class_dice(share: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """One minus dice, over the classes that are there: what mean IoU punishes."""
    share = share.transpose(1, 2) * known[..., None]  # (B, Q, n)
    both, total = (share * truth).sum(1), share.sum(1) + truth.sum(1)
    dice = (2 * both + 1) / (total + 1)
    there = (truth.sum(1) > 0).float()
    return ((1 - dice) * there).sum() / there.sum().clamp(min=1)


def majority(classes: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Class of each cell (at its centre) and whether enough of it agrees."""
    b, side = classes.shape[0], classes.shape[1] // grid[0]
    cells = (
        classes.view(b, grid[0], side, grid[1], side).transpose(2, 3).flatten(3).long()
    )
    label = cells[..., side * (side // 2) + side // 2]
    return label, (cells == label[..., None]).float().mean(-1) > 0.35
