"""Counter-based random numbers: Philox4x32-10 and the address of every random word (scheme version 1).

A word is addressed by (key, purpose, layer, trial, element) and by nothing else. The key is 64 bits of a digest of
(seed, network). Words come in planar blocks of 1024: block b holds counters 256 b .. 256 b + 255, and element
e = 1024 b + 256 w + j is output word w of counter 256 b + j. Counter words: (counter, purpose * 2^24 + layer,
low 32 bits of the trial, high 32 bits of the trial).

Reference: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import hashlib
import json
from enum import IntEnum
from typing import Any

SCHEME = "philox4x32-10/planar-1024/v1"
BLOCK = 1024
PLANE = 256
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF


class Purpose(IntEnum):
    """What a random word is for; the numbers never change."""

    WEIGHT = 1
    WEIGHT_LOW = 2
    MASK = 3
    MASK_LOW = 4
    START = 5
    SAMPLE = 6


def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the four 32-bit words of Philox4x32-10.

    >>> [f"{word:08x}" for word in philox4x32((0, 0, 0, 0), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _MASK, (p0 >> 32) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + WEYL[0]) & _MASK, (k1 + WEYL[1]) & _MASK
    return c0, c1, c2, c3


def stream(purpose: Purpose, layer: int) -> int:
    """Return the second counter word of a purpose and a layer (0-based)."""
    if not 0 <= layer < 1 << 24:
        raise ValueError(f"layer must lie in 0..2^24-1, got {layer}")
    return int(purpose) << 24 | layer


def word(key: tuple[int, int], purpose: Purpose, layer: int, trial: int, element: int) -> int:
    """Return the random 32-bit word at one address: the definition that the kernels are tested against."""
    block, rest = divmod(element, BLOCK)
    plane, lane = divmod(rest, PLANE)
    counter = (block * PLANE + lane, stream(purpose, layer), trial & _MASK, trial >> 32)
    return philox4x32(counter, key)[plane]


def network_key(seed: int, network: dict[str, Any]) -> tuple[int, int]:
    """Return the Philox key of (seed, network): rule, amount and estimator are left out, so they share targets."""
    digest = hashlib.sha256(canonical_json({"scheme": SCHEME, "seed": seed, "network": network})).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def canonical_json(value: Any) -> bytes:
    """Return the one JSON text of ``value``: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
