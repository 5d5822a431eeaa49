"""Fingerprints: 16 bytes that stand for a key of any length.

They are keyed hashes of 128 bits under a secret of this process, so two different keys have the
same one by a chance of 2^-128, whoever chose them: of a million keys, any two by less than
10^-26. So nothing has to keep the keys themselves, which are some hundred bytes each.

SipHash-1-3, as Python has it for its dictionaries, where it could be compiled; else BLAKE2b.
"""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from os_credits.domain.key_spans import KeySpans

try:
    from os_credits.flows import _fingerprint
except ImportError:  # there was no compiler
    _fingerprint = None  # type: ignore[assignment]

# Functions in C, or None.
compiled = _fingerprint

SECRET_BYTES = PRINT_BYTES = 16


def fingerprints(keys: KeySpans, secret: bytes) -> NDArray[np.uint64]:
    """Give the fingerprint of each key, as two words, under a secret of `SECRET_BYTES`."""
    if compiled is None:
        return fingerprints_python(keys, secret)
    taken = compiled.fingerprints(keys.body, keys.starts, keys.ends, secret)
    return np.frombuffer(taken, np.uint64).reshape(-1, 2)


def fingerprints_python(keys: KeySpans, secret: bytes) -> NDArray[np.uint64]:
    """Give other fingerprints for the same purpose, without a compiler."""
    digest = partial(blake2b, digest_size=PRINT_BYTES, key=secret)
    taken = b"".join([digest(key).digest() for key in keys[:]])
    return np.frombuffer(taken, np.uint64).reshape(-1, 2)
