"""EmbeddingStore: encoded views kept by content, in memory and on disk."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sesami.common.checked import checked
from napari_sesami.common.disk import replacing
from napari_sesami.common.recent import Recent

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sesami.models import Embedding

FORMAT = 1  # raise it when views or their reading change


@dataclass(frozen=True)
class EmbeddingKey:
    """Everything an embedding depends on; if any of it changes it is computed anew."""

    content: str
    plane: int
    box: tuple[int, int, int, int]
    shrink: int
    grow: int
    model: str
    normalisation: str
    format: int = FORMAT

    @property
    def text(self) -> str:
        """The key in full, stored beside the numbers."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def file_name(self) -> str:
        """Name of its file."""
        digest = blake2b(self.text.encode(), digest_size=16).hexdigest()
        return f"{digest}.safetensors"


class EmbeddingStore:
    """Keeps the embeddings used last, up to a number of bytes; threads may share it.

    Parameters
    ----------
    memory
        Bytes in memory.
    folder
        Where they are kept between sessions; None keeps them in memory only.
    disk
        Bytes in that folder; the files used longest ago are deleted.
    """

    def __init__(
        self, memory: int = 1 << 29, folder: Path | None = None, disk: int = 4 << 30
    ) -> None:
        self.disk = disk
        self.folder = None if folder is None else Path(folder)
        self._kept: Recent[EmbeddingKey, Embedding] = Recent(
            memory, lambda embedding: embedding.nbytes
        )

    @classmethod
    def in_user_folder(
        cls, memory: int = 1 << 29, disk: int = 4 << 30
    ) -> EmbeddingStore:
        """Share one cache among all sessions of the user."""
        from napari_sesami.common.home import home

        return cls(memory, home() / "cache" / "embeddings", disk)

    def __contains__(self, key: EmbeddingKey) -> bool:
        """Whether it is in memory, i.e. ready at once."""
        return key in self._kept

    @property
    def nbytes(self) -> int:
        """Memory in use."""
        return int(self._kept.total)

    def get(self, key: EmbeddingKey) -> Embedding | None:
        """Find an embedding in memory or on disk."""
        found = self._kept.get(key)
        if found is None:
            found = self._load(key)
            if found is not None:
                self._kept[key] = found
        return found

    def put(self, key: EmbeddingKey, embedding: Embedding) -> None:
        """Keep an embedding, in memory and (if there is a folder) on disk."""
        self._kept[key] = embedding
        if self.folder is not None:
            self._save(key, embedding)

    def clear(self) -> None:
        """Forget what is in memory; files stay."""
        self._kept.clear()

    def _load(self, key: EmbeddingKey) -> Embedding | None:
        """Read a file, if it is there, whole, and really of this key."""
        if self.folder is None:
            return None
        path = self.folder / key.file_name
        if not path.is_file():
            return None
        from safetensors import SafetensorError, safe_open

        from napari_sesami.models import Embedding

        try:
            with safe_open(path, framework="pt") as file:
                facts = file.metadata() or {}
                if facts.get("key") != key.text:
                    return None
                names = set(file.keys())
                image = file.get_tensor("image").float()
                tokens = (
                    file.get_tensor("tokens").float() if "tokens" in names else None
                )
                size = checked(tuple[int, int], facts["input_size"], str(path))
            os.utime(path)  # used now: the last to be deleted
        except (OSError, SafetensorError, KeyError, ValueError):
            path.unlink(missing_ok=True)  # cut short or foreign: compute it anew
            return None
        return Embedding(image, tokens, size)

    def _save(self, key: EmbeddingKey, embedding: Embedding) -> None:
        """Write in half precision: `rounded` embeddings lose nothing by it."""
        import torch
        from safetensors.torch import save_file

        assert self.folder is not None
        tensors = {"image": embedding.image}
        if embedding.tokens is not None:
            tensors["tokens"] = embedding.tokens
        stored = {n: t.detach().cpu().to(torch.float16) for n, t in tensors.items()}
        facts = {"key": key.text, "input_size": json.dumps(list(embedding.input_size))}
        with suppress(OSError):  # a full disk costs time later, not work now
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self.folder / key.file_name, sync=False) as part:
                save_file({n: t.contiguous() for n, t in stored.items()}, part, facts)
            self._prune()

    def _prune(self) -> None:
        assert self.folder is not None
        files = []
        for path in self.folder.glob("*.safetensors"):
            try:
                files.append((path.stat().st_mtime, path.stat().st_size, path))
            except FileNotFoundError:  # another session was faster
                continue
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files)[:-1]:
            if total <= self.disk:
                break
            path.unlink(missing_ok=True)
            total -= size


def rounded(embedding: Embedding) -> Embedding:
    """Round to half precision, so that an embedding from disk gives the same masks."""
    from napari_sesami.models import Embedding

    def halve(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        return tensor.clamp(-65504, 65504).half().float()

    image = halve(embedding.image)
    assert image is not None
    return Embedding(image, halve(embedding.tokens), embedding.input_size)
