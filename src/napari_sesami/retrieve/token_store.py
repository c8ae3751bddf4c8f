"""TokenStore: the tokens of a scan, computed once, kept in memory and on disk.

Tokens are kept, not pixels' features: a plane of 2048² costs megabytes, not gigabytes.
A file is named by everything that shaped its content, so a stale one is never found.
"""

from __future__ import annotations

import math
import os
import shutil
from contextlib import ExitStack, closing, nullcontext
from functools import partial
from hashlib import blake2b
from pathlib import Path
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sesami.common.cancel import Cancelled
from napari_sesami.common.disk import replacing
from napari_sesami.common.recent import Recent
from napari_sesami.retrieve import token_cache
from napari_sesami.retrieve.exact import TOKEN_STEPS, on_grid
from napari_sesami.retrieve.on_disk import let_go, reserve
from napari_sesami.retrieve.threads import in_order, one_thread
from napari_sesami.scan import TilePlan

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import NDArray

    from napari_sesami.common.cancel import IsCancelled, Progress
    from napari_sesami.models import TokenEncoder
    from napari_sesami.scan import Scan

    Partly = Callable[[NDArray[np.floating[Any]], NDArray[np.bool_]], None]

TRIM_EVERY = 32  # planes that are saved: then old files are looked for
TILES = 256  # kept in memory where nothing is kept on disk
LARGE = 1 << 18  # tokens of a plane above which they stay in half precision, on disk
SMALL = 512  # pixels: views up to this side are encoded in one thread each
LET_GO = 16  # tiles of a large plane between two looks at its memory
OVERLAP = 64  # view pixels shared by neighbouring tiles; the middle of it is the cut


class TokenStore:
    """Unit-length tokens (h, w, D) of any plane of one scan, by one encoder.

    Parameters
    ----------
    scan, encoder
        What is read, and by what.
    zoom
        The scale at which the scan is read: 0.5 halves it first, 2 doubles it.
    folder
        Where token files are kept; None keeps nothing on disk.
    memory
        Bytes of tokens kept in memory.

    Attributes
    ----------
    trouble
        One sentence if tokens could not be kept on disk, else nothing.
    """

    def __init__(
        self,
        scan: Scan,
        encoder: TokenEncoder,
        *,
        zoom: float = 1.0,
        folder: Path | None = None,
        memory: int = 1 << 30,
    ) -> None:
        self.scan, self.encoder, self.zoom = scan, encoder, zoom
        self._folder = folder
        self.trouble = ""
        self._saved = 0
        self._planes: Recent[int, NDArray[np.floating[Any]]] = Recent(
            memory, lambda tokens: tokens.nbytes
        )
        self._tiles: Recent[tuple[int, int], NDArray[np.floating[Any]]] = Recent(TILES)
        # planes that are being read, by the thread that reads: tokens so far
        self._coming: dict[tuple[int, int], NDArray[np.floating[Any]]] = {}

    @property
    def folder(self) -> Path | None:
        """Where token files are kept; None if they are not."""
        return self._folder

    @property
    def patch(self) -> int:
        """Side of one token's patch, in pixels of the scan."""
        return max(1, round(self.encoder.stride / self.zoom))

    @property
    def key(self) -> str:
        """Name of everything that the tokens depend on, the plane aside."""
        rounding = "" if self.zoom == 1 else "/up"
        parts = (
            self.scan.content_hash,
            self.scan.normalisation.key,
            self.encoder.key,
            f"{self.zoom:g}/{self.encoder.tile}/{OVERLAP}{rounding}/{TOKEN_STEPS:g}",
        )
        return blake2b("|".join(parts).encode(), digest_size=12).hexdigest()

    def ready(self, plane: int) -> bool:
        """Whether `plane` will answer without the encoder."""
        return plane in self._planes or (self._file(plane) or Path()).is_file()

    def plane(
        self,
        index: int,
        *,
        near: tuple[float, float] | None = None,
        first: NDArray[np.integer] | None = None,
        progress: Progress | None = None,
        partly: Partly | None = None,
        cancelled: IsCancelled | None = None,
    ) -> NDArray[np.floating[Any]] | None:
        """Tokens (h, w, D) of a plane; None if `cancelled` said so on the way.

        They are float32; of a `LARGE` plane float16, which holds the same numbers, and
        left on disk where it can be.

        The tile around the pixel `near` is computed first, then those under the pixels
        `first` (places in the flat plane), then outward. Each tile is
        kept on disk until the plane is whole, so that a crash costs one tile. After
        each, `partly` is shown the tokens so far and a mask (h, w) of those known; it
        gets these tokens, too, if it asks for the plane.
        """
        coming = self._coming.get((get_ident(), index))
        if coming is not None:
            return coming
        tokens = self._planes.get(index)
        if tokens is None:
            tokens = self._load(index)
        if tokens is None:
            tokens = self._encode(index, near, first, progress, partly, cancelled)
            if tokens is None:
                return None
            self._drop_tiles(index)
            if self._folder is not None and self._saved % TRIM_EVERY == 0:
                token_cache.trim(self._folder)
            self._saved += 1
        self._planes[index] = tokens
        return tokens

    def under(
        self,
        index: int,
        pixels: NDArray[np.integer],
        *,
        cancelled: IsCancelled | None = None,
    ) -> NDArray[np.floating[Any]] | None:
        """Tokens (h, w, D) of a plane, right in the patches of some pixels, else 0.

        Only tiles under the pixels, which are places in the flat plane, are computed;
        they are kept for `plane`. None if `cancelled` said so on the way.
        """
        if self.ready(index):
            return self.plane(index)
        image = _GreyTiles(self.scan, index, self.zoom)
        stride, plan = self.encoder.stride, self._plan(image.shape)
        out = self._no_tokens(image.shape)
        for i in self._tiles_under(plan, pixels):
            if cancelled is not None and cancelled():
                return None
            plan.place(out, self._tile(index, i, plan, image), i, stride)
        return out

    def _tiles_under(self, plan: TilePlan, pixels: NDArray[np.integer]) -> list[int]:
        """Tiles that answer for pixels, which are places in the flat plane."""
        y, x = np.divmod(np.asarray(pixels), self.scan.plane_shape[1])
        stride = self.encoder.stride
        asked = np.zeros([-(-n // stride) for n in plan.shape], bool)
        asked[y // self.patch, x // self.patch] = True
        found = []
        for i in range(len(plan)):
            cells = tuple(
                slice(core.start // stride, -(-core.stop // stride))
                for core in plan.core(i)
            )
            if asked[cells].any():
                found.append(i)
        return found

    def _no_tokens(self, shape: tuple[int, ...]) -> NDArray[np.floating[Any]]:
        """Zeros (h, w, D) for a plane of that shape."""
        h, w = (-(-n // self.encoder.stride) for n in shape)
        kind = np.float16 if h * w > LARGE else np.float32
        return np.zeros((h, w, self.encoder.dim), kind)

    def _tile(
        self, index: int, i: int, plan: TilePlan, image: _GreyTiles
    ) -> NDArray[np.float32]:
        """Tokens of one tile: from memory, from disk, or computed and kept."""
        known = self._tiles.get((index, i))
        if known is not None:
            return known
        file = self._tile_file(index, i) if len(plan) > 1 else None
        side = [-(-n // self.encoder.stride) for n in plan.size(i)]
        tokens = self._read(file, (*side, self.encoder.dim))
        if tokens is None:
            tokens = self._encode_tile(image.read(plan, i))
            self._save(file, tokens)
        if self._folder is None:
            self._tiles[index, i] = tokens
        return tokens

    def _encode(
        self,
        index: int,
        near: tuple[float, float] | None,
        first: NDArray[np.integer] | None,
        progress: Progress | None,
        partly: Partly | None,
        cancelled: IsCancelled | None,
    ) -> NDArray[np.floating[Any]] | None:
        image = _GreyTiles(self.scan, index, self.zoom)
        stride = self.encoder.stride
        plan = self._plan(image.shape)
        middle = None if near is None else [k * self.zoom for k in near]
        order = plan.order(middle)
        if first is not None and len(first):
            soon = {*order[:1], *self._tiles_under(plan, first)}
            order.sort(key=lambda i: i not in soon)  # stable: outward among themselves
        read = partial(self._tile, index, plan=plan, image=image)
        here = (get_ident(), index)
        try:
            with ExitStack() as stack:
                mapped = self._mapped(index, image.shape, stack)
                out = self._no_tokens(image.shape) if mapped is None else mapped
                known = np.zeros(out.shape[:2], bool)
                self._coming[here] = out
                stack.callback(self._coming.pop, here)
                tiles = stack.enter_context(closing(self._each(read, order)))
                for done, i in enumerate(order, 1):
                    if cancelled is not None and cancelled():
                        raise Cancelled("Reading a plane was stopped.")
                    plan.place(out, next(tiles), i, stride)
                    if partly is not None and done < len(plan):
                        side = [-(-n // stride) for n in plan.size(i)]
                        plan.place(known, np.ones(side, bool), i, stride)
                        partly(out, known)
                    if done % LET_GO == 0:
                        let_go(out)
                    if progress is not None:
                        progress(done, len(plan))
        except Cancelled:
            if cancelled is not None and cancelled():
                return None
            raise
        if mapped is None:
            self._save(self._file(index), out)
        if _large(out):
            kept = self._load(index)
            out = out if kept is None else kept
        return out

    def _each(
        self, read: Callable[[int], NDArray[np.float32]], order: list[int]
    ) -> Generator[NDArray[np.float32]]:
        """Tiles in their order: small ones by several threads, each in one."""
        if self._one_thread:
            yield from in_order(read, order)
        else:
            yield from map(read, order)

    @property
    def _one_thread(self) -> bool:
        """Whether views are so small that a second thread would mostly wait."""
        on_cpu = str(self.encoder.device).startswith("cpu")
        return on_cpu and self.encoder.tile <= SMALL

    def _mapped(
        self, index: int, shape: tuple[int, ...], stack: ExitStack
    ) -> NDArray[np.floating[Any]] | None:
        """Room for the tokens of a large plane in the file that will keep them.

        It gets its name when the stack is left without an error. None if a plane is
        not large, or if there is no disk for it.
        """
        h, w = (-(-n // self.encoder.stride) for n in shape)
        file = self._file(index)
        # elsewhere a file that is mapped cannot be renamed
        if h * w <= LARGE or file is None or os.name != "posix":
            return None
        full = (h, w, self.encoder.dim)
        header = {"descr": "<f2", "fortran_order": False, "shape": full}
        try:
            with ExitStack() as own:
                file.parent.mkdir(parents=True, exist_ok=True)
                part = own.enter_context(replacing(file, sync=False))
                with part.open("wb") as stream:
                    np.lib.format.write_array_header_1_0(stream, header)
                    reserve(stream, 2 * math.prod(full))
                out: NDArray[np.floating[Any]] = np.load(part, mmap_mode="r+")
                stack.push(own.pop_all())
                return out
        except OSError as error:
            self._give_up(error)
            return None

    def _plan(self, shape: tuple[int, ...]) -> TilePlan:
        stride = self.encoder.stride
        tile = max(stride, self.encoder.tile // stride * stride)
        overlap = min(OVERLAP, tile - stride) // stride * stride
        return TilePlan.of(shape, tile=tile, overlap=overlap, align=stride)

    def _encode_tile(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Tokens of one tile, rounded as on disk: the same before and after a crash.

        An encoder's last bits depend on the processor; from here on nothing does.
        """
        import torch

        view = torch.from_numpy(np.ascontiguousarray(pixels))[None, None]
        alone = one_thread() if self._one_thread else nullcontext()
        with alone, torch.inference_mode():
            found = self.encoder.encode(view.to(self.encoder.device), normalise=True)
        return on_grid(found[0].permute(1, 2, 0).float().cpu().numpy())

    def _file(self, index: int) -> Path | None:
        return (
            None if self._folder is None else self._folder / self.key / f"{index}.npy"
        )

    def _tile_file(self, index: int, tile: int) -> Path | None:
        file = self._file(index)
        return None if file is None else file.with_suffix(".tiles") / f"{tile}.npy"

    def _drop_tiles(self, index: int) -> None:
        for at in [at for at in self._tiles if at[0] == index]:
            del self._tiles[at]
        file = self._file(index)
        if file is not None:
            shutil.rmtree(file.with_suffix(".tiles"), ignore_errors=True)

    def _load(self, index: int) -> NDArray[np.floating[Any]] | None:
        sides = (math.ceil(n * self.zoom - 1e-6) for n in self.scan.plane_shape)
        h, w = (-(-max(1, n) // self.encoder.stride) for n in sides)
        return self._read(self._file(index), (h, w, self.encoder.dim))

    def _read(
        self, path: Path | None, shape: tuple[int, ...]
    ) -> NDArray[np.floating[Any]] | None:
        """Read tokens of this shape; anything else is computed again.

        That is what a crash cut short, and what another version left behind.
        """
        if path is None or not path.is_file():
            return None
        try:
            # mapped: a header that promises too much takes no memory
            # (mode "c": nothing is written, but torch wants memory that could be)
            tokens = np.load(path, mmap_mode="c", allow_pickle=False)
        except (OSError, ValueError, EOFError, SyntaxError, OverflowError):
            return None
        good = tokens.shape == shape and tokens.dtype == np.float16
        token_cache.used(path)
        if not good:
            return None
        return tokens if _large(tokens) else tokens.astype(np.float32)

    def _save(self, path: Path | None, tokens: NDArray[np.floating[Any]]) -> None:
        """Write atomically; a full or read-only disk costs the cache, not the work."""
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path, sync=False) as part, part.open("wb") as stream:
                np.save(stream, tokens.astype(np.float16, copy=False))
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._folder = None
        self.trouble = (
            f"Tokens cannot be kept on disk ({error.strerror or error}); they stay "
            "in memory, and another session computes them again."
        )


class _GreyTiles:
    """The grey image of a plane at a zoom, read tile by tile where that is possible."""

    def __init__(self, scan: Scan, plane: int, zoom: float) -> None:
        self._scan, self._plane = scan, plane
        self._whole: NDArray[np.float32] | None = None
        self._busy = Lock()
        self.shape: tuple[int, ...] = scan.plane_shape
        if zoom != 1:
            self._whole = resized(scan.grey(plane), zoom)
            self.shape = self._whole.shape

    def read(self, plan: TilePlan, tile: int) -> NDArray[np.float32]:
        """One tile of a plan."""
        if self._whole is not None:
            return plan.cut(self._whole, tile)
        y, x = plan[tile]
        with self._busy:  # a reader may not know threads
            return self._scan.grey(self._plane, (y.start, x.start, y.stop, x.stop))


class PartialStore(TokenStore):
    """A store in which one plane is known in part only, and nothing is computed."""

    def __init__(
        self, whole: TokenStore, plane: int, tokens: NDArray[np.floating[Any]]
    ) -> None:
        super().__init__(whole.scan, whole.encoder, zoom=whole.zoom)
        self._whole, self._partial = whole, (plane, tokens)

    def ready(self, plane: int) -> bool:
        """Whether anything is known of a plane."""
        return plane == self._partial[0] or self._whole.ready(plane)

    def plane(self, index: int, **_: object) -> NDArray[np.floating[Any]] | None:
        """Tokens (h, w, D) as far as they are known; None if there are none."""
        if index == self._partial[0]:
            return self._partial[1]
        return self._whole.plane(index) if self._whole.ready(index) else None


def _large(tokens: NDArray[np.floating[Any]]) -> bool:
    return tokens.shape[0] * tokens.shape[1] > LARGE


def resized(image: NDArray[np.float32], zoom: float) -> NDArray[np.float32]:
    """Scale a grey image; smaller by averaging areas, larger bilinearly."""
    if zoom == 1:
        return image
    import torch

    # rounded up, so that the last pixels still lie in a patch
    size = [max(1, math.ceil(n * zoom - 1e-6)) for n in image.shape]
    tensor = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    if zoom < 1:
        scaled = torch.nn.functional.interpolate(tensor, size=size, mode="area")
    else:
        scaled = torch.nn.functional.interpolate(
            tensor, size=size, mode="bilinear", align_corners=False
        )
    return scaled[0, 0].numpy()
