"""The encoder of sesami-nano: convolutions to a sixteenth, windows of attention, back.

Nothing in it knows absolute positions: neighbours come from convolutions and from a
learnt bias on the offset inside an attention window. So a token depends on what it
shows and on its surroundings, not on where in the view it lies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class PixelNorm(nn.LayerNorm):
    """Layer norm over the channels of every pixel of (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; free of copies for channels-last tensors."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvBlock(nn.Module):
    """Two 3×3 convolutions around a short cut."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = PixelNorm(dim)
        self.conv1 = nn.Conv2d(dim, dim, 3, padding=1)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias) if self.conv2.bias is not None else None

    def forward(self, x: Tensor) -> Tensor:
        """Keep shape and channels."""
        return x + self.conv2(F.gelu(self.conv1(self.norm(x))))


class WindowAttention(nn.Module):
    """Attention inside square windows; only offsets matter (rotary positions)."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        turn = rotations(dim // heads, window)
        self.register_buffer("cos", turn.cos(), persistent=False)
        self.register_buffer("sin", turn.sin(), persistent=False)
        self.cos: Tensor
        self.sin: Tensor

    def _turn(self, x: Tensor) -> Tensor:
        """Rotate pairs of channels by angles that grow with row and column."""
        a, b = x.chunk(2, -1)
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Mix windows x (N, window², dim); keys that are padding are not seen."""
        n, t, dim = x.shape
        q, k, v = (
            self.qkv(x)
            .view(n, t, 3, self.heads, dim // self.heads)
            .permute(2, 0, 3, 1, 4)
        )
        mask = None if valid is None else valid[:, None, None].expand(-1, -1, t, -1)
        out = F.scaled_dot_product_attention(
            self._turn(q), self._turn(k), v, attn_mask=mask
        )
        return self.proj(out.transpose(1, 2).reshape(n, t, dim))


def rotations(head: int, window: int) -> Tensor:
    """Angles (window², head / 2): half of the pairs turn by row, half by column."""
    quarter = head // 4
    speed = 2 * torch.pi / (2.5 * 16 ** (torch.arange(quarter) / max(1, quarter - 1)))
    at = torch.arange(window)[:, None] * speed
    rows = at[:, None].expand(-1, window, -1)
    cols = at[None].expand(window, -1, -1)
    return torch.cat([rows, cols], -1).reshape(window**2, 2 * quarter)


class Block(nn.Module):
    """A transformer block on a grid; odd blocks shift their windows on large grids."""

    def __init__(self, dim: int, heads: int, window: int, shifted: bool) -> None:
        super().__init__()
        self.window, self.shifted = window, shifted
        self.local = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads, window)
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)
        )
        nn.init.zeros_(self.local.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Keep (B, H, W, dim)."""
        x = x + self.local(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = x + self._attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def _attend(self, x: Tensor) -> Tensor:
        b, h, w, dim = x.shape
        s = self.window
        lead = [s // 2 if self.shifted and side > s else 0 for side in (h, w)]
        tail = [-(side + a) % s for side, a in zip((h, w), lead, strict=True)]
        pad = (0, 0, lead[1], tail[1], lead[0], tail[0])
        valid = None
        if any(pad):
            valid = F.pad(
                torch.ones(1, h, w, 1, dtype=torch.bool, device=x.device), pad
            )
            x = F.pad(x, pad)
        rows, cols = x.shape[1] // s, x.shape[2] // s

        def cut(a: Tensor) -> Tensor:
            a = a.reshape(a.shape[0], rows, s, cols, s, -1).transpose(2, 3)
            return a.reshape(-1, s * s, a.shape[-1])

        seen = None if valid is None else cut(valid)[..., 0].repeat(b, 1)
        mixed = self.attn(cut(x), seen)
        mixed = mixed.reshape(b, rows, cols, s, s, dim).transpose(2, 3)
        mixed = mixed.reshape(b, rows * s, cols * s, dim)
        return mixed[:, lead[0] : lead[0] + h, lead[1] : lead[1] + w]


class NanoEncoder(nn.Module):
    """Grey views to an image embedding (stride 16) and dense tokens (stride 4)."""

    def __init__(
        self,
        widths: tuple[int, int, int] = (64, 128, 256),
        depth: int = 6,
        heads: int = 8,
        window: int = 16,
        out_chans: int = 128,
        token_dim: int = 64,
    ) -> None:
        super().__init__()
        c4, c8, c16 = widths
        self.stem = nn.Sequential(
            nn.Conv2d(1, 24, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(24, c4, 3, stride=2, padding=1),
        )
        self.stage4 = nn.Sequential(ConvBlock(c4), ConvBlock(c4))
        self.down8 = nn.Sequential(PixelNorm(c4), nn.Conv2d(c4, c8, 2, stride=2))
        self.stage8 = nn.Sequential(ConvBlock(c8), ConvBlock(c8))
        self.down16 = nn.Sequential(PixelNorm(c8), nn.Conv2d(c8, c16, 2, stride=2))
        self.blocks = nn.ModuleList(
            [Block(c16, heads, window, shifted=i % 2 == 1) for i in range(depth)]
        )
        self.neck = nn.Sequential(PixelNorm(c16), nn.Conv2d(c16, out_chans, 1))
        self.wide8 = nn.Conv2d(c16, c8, 1)
        self.fuse8 = ConvBlock(c8)
        self.wide4 = nn.Conv2d(c8, c4, 1)
        self.fuse4 = ConvBlock(c4)
        self.head = nn.Sequential(PixelNorm(c4), nn.Conv2d(c4, token_dim, 1))

    def forward(self, view: Tensor) -> tuple[Tensor, Tensor]:
        """Encode (B, 1, H, W), sides multiples of 16; tokens come with length one."""
        return self.rest(*self.trunk(view, 0), 0)

    def trunk(self, view: Tensor, stop: int) -> tuple[Tensor, Tensor, Tensor]:
        """What lies before block `stop`: features at strides 4, 8 and 16."""
        x = self.stem((view - 0.5) * 4)
        x4 = self.stage4(x)
        x8 = self.stage8(self.down8(x4))
        x16 = self.down16(x8).permute(0, 2, 3, 1)
        for block in self.blocks[:stop]:
            x16 = block(x16)
        return x4, x8, x16

    def rest(
        self, x4: Tensor, x8: Tensor, x16: Tensor, start: int
    ) -> tuple[Tensor, Tensor]:
        """From what the trunk gave to embedding and tokens."""
        for block in self.blocks[start:]:
            x16 = block(x16)
        x16 = x16.permute(0, 3, 1, 2)
        x8 = self.fuse8(x8 + _double(self.wide8(x16)))
        x4 = self.fuse4(x4 + _double(self.wide4(x8)))
        tokens = F.normalize(self.head(x4).float(), dim=1)
        return self.neck(x16), tokens


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def sides(shape: Any, multiple: int = 16) -> tuple[int, int]:
    """Round the last two sides up to what the encoder takes."""
    return tuple(-(-int(s) // multiple) * multiple for s in shape[-2:])  # type: ignore[return-value]
