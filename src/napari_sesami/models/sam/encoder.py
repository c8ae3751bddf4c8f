"""The image encoder of SAM on the same weights, computed faster.

Three things are done differently from `segment_anything`: attention never writes all
query-key scores to memory; windows at the edge are attended without running their
padding through the linear layers; and a grey image costs one input channel, not three.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_sesami.common.cancel import check_cancelled

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from segment_anything.modeling.image_encoder import (
        Attention,
        Block,
        ImageEncoderViT,
    )

CHUNK = 256  # queries at a time on a CPU: their scores stay in the cache
SMALL = 400  # keys up to which a written-out bias is cheaper than a loop
FUSED_DIM = 256  # widest head that fused GPU kernels take


class FastEncoder:
    """Runs an `ImageEncoderViT` of `segment_anything` on grey views in [0, 1].

    Parameters
    ----------
    encoder
        Its weights are used where they are; training them shows here at once.
    mean, std
        Per colour channel, for pixels in [0, 1].
    half
        Compute the blocks in bfloat16 (GPU).
    """

    def __init__(
        self,
        encoder: ImageEncoderViT,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        half: bool = False,
    ) -> None:
        self.encoder = encoder
        self.mean = torch.tensor(mean)
        self.std = torch.tensor(std)
        self.half = half
        self.run_block = run_block

    def __call__(self, view: Tensor, pad: bool = True) -> Tensor:
        """Encode (B, 1, H, W) to (B, C, h, w), padded to the training size or not."""
        return self.encoder.neck(self.tokens(view, pad).permute(0, 3, 1, 2)).float()

    def tokens(
        self, view: Tensor, pad: bool = True, layer: int | None = None
    ) -> Tensor:
        """Tokens (B, h, w, D) after block `layer` (None: the last), before the neck."""
        blocks = self.encoder.blocks
        stop = len(blocks) if layer is None else range(len(blocks))[layer] + 1
        return self.trunk(view, stop, pad)

    def trunk(self, view: Tensor, stop: int, pad: bool = True) -> Tensor:
        """What lies before block `stop`."""
        with self._precision(view.device):
            x = self.embed(view, pad)
            return self._through(x, 0, stop)

    def rest(self, x: Tensor, start: int) -> Tensor:
        """From what the trunk gave to the embedding."""
        with self._precision(x.device):
            x = self._through(x, start, len(self.encoder.blocks))
        return self.encoder.neck(x.permute(0, 3, 1, 2)).float()

    def _through(self, x: Tensor, start: int, stop: int) -> Tensor:
        for block in self.encoder.blocks[start:stop]:
            check_cancelled()
            x = self.run_block(block, x)
        return x

    def _precision(self, device: torch.device) -> AbstractContextManager[object]:
        return (
            torch.autocast(device.type, torch.bfloat16) if self.half else nullcontext()
        )

    def embed(self, view: Tensor, pad: bool) -> Tensor:
        """Patches (B, h, w, D) with positions; grey is folded into the weights."""
        side = self.encoder.img_size
        proj = self.encoder.patch_embed.proj
        patch = proj.stride[0]
        height, width = view.shape[-2:]
        full = (
            (side, side)
            if pad
            else tuple(-(-n // patch) * patch for n in (height, width))
        )
        missing = (0, full[1] - width, 0, full[0] - height)
        mean, std = self.mean.to(view.device), self.std.to(view.device)
        scaled = proj.weight / std[: proj.in_channels, None, None]
        x = F.conv2d(
            F.pad(view, missing), scaled.sum(1, keepdim=True), proj.bias, patch
        )
        # padding is black after subtracting the mean, not before
        shift = (scaled * mean[: proj.in_channels, None, None]).sum(1, keepdim=True)
        valid = F.pad(torch.ones_like(view[:1]), missing)
        x = (x - F.conv2d(valid, shift, stride=patch)).permute(0, 2, 3, 1)
        position = self.encoder.pos_embed
        return (
            x
            if position is None
            else x + fit_positions(position, x.shape[1], x.shape[2])
        )

    def compile(self) -> None:
        """Let torch.compile fuse what lies between the matrix products."""
        self.run_block = torch.compile(run_block, dynamic=False)


def fit_positions(position: Tensor, height: int, width: int) -> Tensor:
    """Cut positions (1, h, w, D) to a smaller grid, stretch them to a larger one."""
    h, w = position.shape[1:3]
    if height > h or width > w:
        size = (max(h, height), max(w, width))
        stretched = F.interpolate(
            position.permute(0, 3, 1, 2), size, mode="bicubic", align_corners=False
        )
        position = stretched.permute(0, 2, 3, 1)
    return position[:, :height, :width]


def fit_relative(table: Tensor, size: int) -> Tensor:
    """Relative positions (size, size, d) of a table (2 L - 1, d)."""
    length = (table.shape[0] + 1) // 2
    if size > length:
        stretched = F.interpolate(table.T[None], 2 * size - 1, mode="linear")
        table, length = stretched[0].T, size
    near = table[length - size : length + size - 1]
    at = torch.arange(size, device=table.device)
    return near[at[:, None] - at[None, :] + size - 1]


def run_block(block: Block, x: Tensor) -> Tensor:
    """One transformer block on (B, h, w, D)."""
    normed = block.norm1(x)
    if block.window_size > 0:
        x = x + block.attn.proj(attend_windows(block.attn, normed, block.window_size))
    else:
        b, h, w, _ = x.shape
        qkv = block.attn.qkv(normed).reshape(b, h, w, 3, -1)
        x = x + block.attn.proj(attend(block.attn, qkv, qkv))
    return x + block.mlp(block.norm2(x))


def attend_windows(attn: Attention, x: Tensor, size: int) -> Tensor:
    """Attention within windows; those cut by the edge see padding as keys only."""
    b, h, w, dim = x.shape
    qkv = attn.qkv(x).reshape(b, h, w, 3, -1)
    # what the projection makes of a padded token, which is zero
    blank = attn.qkv(x.new_zeros(1, 1, 1, dim)).reshape(1, 1, 1, 3, -1)
    rows = _bands(h, size)
    columns = _bands(w, size)
    out = qkv.new_empty(b, h, w, dim)
    for r, tall in rows:
        for c, wide in columns:
            part = _to_windows(qkv[:, r, c], tall, wide)
            keys = part
            if tall < size or wide < size:
                keys = blank.expand(len(part), size, size, 3, -1).clone()
                keys[:, :tall, :wide] = part
            done = attend(attn, part, keys)
            out[:, r, c] = _from_windows(done, b, r.stop - r.start, c.stop - c.start)
    return out


def _bands(length: int, size: int) -> list[tuple[slice, int]]:
    """Split into the part made of whole windows and the rest."""
    whole = length // size * size
    bands = [(slice(0, whole), size), (slice(whole, length), length - whole)]
    return [(s, n) for s, n in bands if s.stop > s.start]


def _to_windows(x: Tensor, tall: int, wide: int) -> Tensor:
    b, h, w, *rest = x.shape
    x = x.view(b, h // tall, tall, w // wide, wide, *rest).transpose(2, 3)
    return x.reshape(-1, tall, wide, *rest)


def _from_windows(x: Tensor, b: int, h: int, w: int) -> Tensor:
    tall, wide, dim = x.shape[1:]
    x = x.view(b, h // tall, w // wide, tall, wide, dim).transpose(2, 3)
    return x.reshape(b, h, w, dim)


def attend(attn: Attention, queries: Tensor, keys: Tensor) -> Tensor:
    """Attention of queries (B, h, w, 3, D) on keys (B, H, W, 3, D), to (B, h, w, D)."""
    b, h, w = queries.shape[:3]
    heads = attn.num_heads
    q = queries[..., 0, :].reshape(b, h * w, heads, -1).transpose(1, 2)
    k, v = (
        keys[..., i, :]
        .reshape(b, keys.shape[1] * keys.shape[2], heads, -1)
        .transpose(1, 2)
        for i in (1, 2)
    )
    if not attn.use_rel_pos:
        out = F.scaled_dot_product_attention(q, k, v)
    else:
        up = q.reshape(b, heads, h, w, -1)
        rel_h = fit_relative(attn.rel_pos_h, keys.shape[1])[:h].to(q.dtype)
        rel_w = fit_relative(attn.rel_pos_w, keys.shape[2])[:w].to(q.dtype)
        bias_h = torch.einsum("bnhwc,hkc->bnhwk", up, rel_h).flatten(2, 3)
        bias_w = torch.einsum("bnhwc,wkc->bnhwk", up, rel_w).flatten(2, 3)
        out = _biased(q, k, v, bias_h, bias_w)
    return out.transpose(1, 2).reshape(b, h, w, -1)


def _biased(q: Tensor, k: Tensor, v: Tensor, bias_h: Tensor, bias_w: Tensor) -> Tensor:
    """Attention with a bias per key row (…, H) and key column (…, W)."""
    if (
        q.device.type == "cuda"
        and q.shape[-1] + bias_h.shape[-1] + bias_w.shape[-1] <= FUSED_DIM
    ):
        return _widened(q, k, v, bias_h, bias_w)
    if k.shape[2] > SMALL and not torch.is_grad_enabled() and q.device.type == "cpu":
        return _chunked(q, k, v, bias_h, bias_w)
    bias = (bias_h[..., None] + bias_w[..., None, :]).flatten(-2)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def _widened(q: Tensor, k: Tensor, v: Tensor, bias_h: Tensor, bias_w: Tensor) -> Tensor:
    """Carry the bias in extra head dimensions, so that kernels without bias apply."""
    high, wide, dim = bias_h.shape[-1], bias_w.shape[-1], q.shape[-1]
    rows = torch.eye(high, dtype=q.dtype, device=q.device).repeat_interleave(wide, 0)
    columns = torch.eye(wide, dtype=q.dtype, device=q.device).repeat(high, 1)
    place = torch.cat([rows, columns], 1).expand(*k.shape[:2], -1, -1)
    extra = -(dim + high + wide) % 8
    q = F.pad(torch.cat([q * dim**-0.5, bias_h, bias_w], -1), (0, extra))
    k = F.pad(torch.cat([k, place], -1), (0, extra))
    v = F.pad(v, (0, high + wide + extra))
    return F.scaled_dot_product_attention(q, k, v, scale=1.0)[..., :dim]


def _chunked(q: Tensor, k: Tensor, v: Tensor, bias_h: Tensor, bias_w: Tensor) -> Tensor:
    """Score a few queries against all keys at a time, head by head."""
    b, heads, n, dim = q.shape
    keys = k.shape[2]
    out = torch.empty(b * heads, n, dim, dtype=q.dtype)
    q, k, v = (t.reshape(b * heads, -1, dim) for t in (q, k, v))
    bias_h = bias_h.reshape(b * heads, n, -1, 1)
    bias_w = bias_w.reshape(b * heads, n, 1, -1)
    for head in range(b * heads):
        check_cancelled()
        turned = (k[head] * dim**-0.5).T
        for start in range(0, n, CHUNK):
            some = slice(start, start + CHUNK)
            bias = (bias_h[head, some] + bias_w[head, some]).view(-1, keys)
            scores = torch.addmm(bias, q[head, some], turned)
            torch.mm(torch.softmax(scores, -1), v[head], out=out[head, some])
    return out.view(b, heads, n, dim)
