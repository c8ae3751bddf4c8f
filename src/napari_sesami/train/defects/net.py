"""One encoder for both magnifications, and a head for each whose answers are averaged.

What is pooled is what `classify` pools of frozen tokens, so that a head in closed form
fits the tuned encoder as it fitted the frozen one: all tokens, and those least like the
picture's rim, or least like the template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_sesami.models import TunableEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sesami.models import TokenEncoder

HEADS = ("high", "low", "difference")
RIM = 0.2
SHARE = 0.02
"""Of the tokens, the least alike, that are pooled by themselves."""


class PairsNet(nn.Module):
    """Log-probabilities of the classes, from each view that a defect has.

    Parameters
    ----------
    encoder
        Whose weights are tuned.
    classes
        How many there are.
    views
        Which heads there are: "high", "low", "difference" (beside the template).
    """

    def __init__(
        self, encoder: TokenEncoder, classes: int, views: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.encoder = TunableEncoder(encoder)
        self.views, self.classes = views, classes
        self.heads = nn.ModuleDict(
            {view: nn.Linear(4 * self.encoder.dim, classes) for view in views}
        )
        for view in views:  # zeros: the first answers are all alike
            for parameter in self.heads[view].parameters():
                nn.init.zeros_(parameter)
            shape = (4 * self.encoder.dim,)
            self.register_buffer(f"mean_{view}", torch.zeros(shape))
            self.register_buffer(f"scale_{view}", torch.ones(shape))

    def pooled(self, batch: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Give per view the pooled numbers of the defects that have it, and who."""
        has = batch["has"]
        maps: dict[str, Tensor] = {}
        rows: dict[str, Tensor] = {}
        for k, view in enumerate(("high", "low", "template")):
            wanted = "difference" if view == "template" else view
            if wanted in self.views or (view == "high" and "difference" in self.views):
                rows[view] = torch.nonzero(has[:, k])[:, 0]
        views = [v for v in rows if len(rows[v])]
        tokens = self.encoder(torch.cat([batch[v][rows[v]] for v in views]))
        for view, part in zip(
            views, tokens.split([len(rows[v]) for v in views]), strict=True
        ):
            maps[view] = part
        found = {}
        for view in ("high", "low"):
            if view in self.views and view in maps:
                found[view] = pooled_alone(maps[view]), rows[view]
        if "difference" in self.views and {"high", "template"} <= maps.keys():
            both = torch.nonzero(has[:, 0] & has[:, 2])[:, 0]
            high = maps["high"][torch.isin(rows["high"], both)]
            good = maps["template"][torch.isin(rows["template"], both)]
            found["difference"] = pooled_beside(high, good), both
        return found

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Give per view log-probabilities (views, B, classes), and where they are."""
        size = len(batch["has"])
        parts, there = [], []
        found = self.pooled(batch)
        for view in self.views:
            head = self.heads[view]
            out = torch.zeros(size, self.classes, device=batch["has"].device)
            seen = torch.zeros(size, device=out.device)
            if view in found:
                numbers, rows = found[view]
                scaled = (numbers - self.get_buffer(f"mean_{view}")) / self.get_buffer(
                    f"scale_{view}"
                )
                answers = head(scaled).log_softmax(1)
                out = out.index_copy(0, rows, answers.to(out.dtype))
                seen = seen.index_fill(0, rows, 1.0)
            parts.append(out)
            there.append(seen)
        return torch.stack(parts), torch.stack(there)


def averaged(parts: Tensor, there: Tensor) -> Tensor:
    """Average the views' log-probabilities over those that a defect has."""
    total = (parts * there[..., None]).sum(0)
    return (total / there.sum(0).clamp(min=1)[:, None]).log_softmax(1)


def pooled_alone(tokens: Tensor) -> Tensor:
    """Pool maps (B, dim, h, w): all tokens, and those least like the rim."""
    dim, height, width = tokens.shape[1:]
    flat = tokens.flatten(2)
    y = (torch.arange(height, device=tokens.device) + 0.5) / height - 0.5
    x = (torch.arange(width, device=tokens.device) + 0.5) / width - 0.5
    rim = torch.maximum(y.abs()[:, None], x.abs()[None]).flatten() > 0.5 - RIM
    with torch.no_grad():  # who is least alike is chosen, not learnt
        others = flat[:, :, rim]
        likeness = torch.bmm(flat.transpose(1, 2), others)
        best, at = likeness.max(2)
        best[:, rim] = 2
        some = best.topk(max(2, int(SHARE * height * width)), 1, largest=False).indices
        match = torch.gather(at, 1, some)
    unlike = torch.gather(flat, 2, some[:, None].expand(-1, dim, -1)).mean(2)
    usual = torch.gather(others, 2, match[:, None].expand(-1, dim, -1)).mean(2)
    return torch.cat([unlike - usual, usual, flat.mean(2), flat.std(2)], 1)


def pooled_beside(tokens: Tensor, template: Tensor) -> Tensor:
    """Pool maps beside those of their templates: where the two differ most."""
    dim, height, width = tokens.shape[1:]
    flat, good = tokens.flatten(2), template.flatten(2)
    with torch.no_grad():
        likeness = (flat * good).sum(1)
        count = max(2, int(SHARE * height * width))
        some = likeness.topk(count, 1, largest=False).indices
        where = some[:, None].expand(-1, dim, -1)
    usual, apart = torch.gather(good, 2, where).mean(2), flat - good
    unlike = torch.gather(flat, 2, where).mean(2)
    return torch.cat([unlike - usual, usual, apart.mean(2), apart.std(2)], 1)
