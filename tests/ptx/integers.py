"""Integer arithmetic of PTX on whole vectors of lanes; every function keeps the type of its first argument."""

from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]
BYTE_REVERSED = np.array([int(f"{i:08b}"[::-1], 2) for i in range(256)], np.uint8)


def unsigned(x: Values) -> Values:
    return x.view(f"u{x.dtype.itemsize}")


def wide(x: Values, y: Values) -> Values:
    """Return the full product, in a type of twice the width."""
    double = f"{x.dtype.kind}{2 * x.dtype.itemsize}"
    return x.astype(double) * y.astype(double)


def high(x: Values, y: Values) -> Values:
    """Return the upper half of the full product."""
    bits = 8 * x.dtype.itemsize
    if bits < 64:
        return (wide(x, y) >> bits).astype(x.dtype)
    a, b = np.broadcast_arrays(np.asarray(x), np.asarray(y))
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    ua, ub = a.astype(np.uint64), b.astype(np.uint64)
    a0, a1, b0, b1 = ua & low, ua >> half, ub & low, ub >> half
    middle = a1 * b0 + (a0 * b0 >> half)
    upper = a0 * b1 + (middle & low)
    result = a1 * b1 + (middle >> half) + (upper >> half)
    if x.dtype.kind == "i":
        result = result - np.where(a < 0, ub, 0).astype(np.uint64) - np.where(b < 0, ua, 0).astype(np.uint64)
    return result.astype(x.dtype)


def divide(x: Values, y: Values) -> tuple[Values, Values]:
    """Return quotient and remainder, rounded towards zero; the divisor is not zero."""
    if x.dtype.kind == "u":
        return x // y, x % y
    a, b = unsigned(np.where(x < 0, -x, x)), unsigned(np.where(y < 0, -y, y))
    quotient, remainder = (a // b).view(x.dtype), (a % b).view(x.dtype)
    return np.where((x < 0) != (y < 0), -quotient, quotient), np.where(x < 0, -remainder, remainder)


def shift_left(x: Values, n: Values) -> Values:
    bits = 8 * x.dtype.itemsize
    return np.where(n >= bits, x.dtype.type(0), x << np.minimum(n, bits - 1).astype(x.dtype))


def shift_right(x: Values, n: Values) -> Values:
    bits = 8 * x.dtype.itemsize
    shifted = x >> np.minimum(n, bits - 1).astype(x.dtype)
    return shifted if x.dtype.kind == "i" else np.where(n >= bits, x.dtype.type(0), shifted)


def funnel(low: Values, top: Values, n: Values, left: bool) -> Values:
    """Shift the 64-bit word top:low by n in 0..32; return its upper half (left) or lower half (right)."""
    word = (top.astype(np.uint64) << np.uint64(32)) | low.astype(np.uint64)
    n = n.astype(np.uint64)
    return ((word << n) >> np.uint64(32) if left else word >> n).astype(np.uint32)


def extract(x: Values, position: Values, length: Values) -> Values:
    """Return the bit field of x, with its sign for a signed type (bfe)."""
    bits = 8 * x.dtype.itemsize
    start, size = position & np.uint32(0xFF), length & np.uint32(0xFF)
    moved = shift_right(x, start)
    size = np.minimum(size, bits)
    if x.dtype.kind == "u":
        return moved & ~shift_left(np.full_like(moved, -1 & ((1 << bits) - 1)), size)
    sign = shift_right(x, np.minimum(start.astype(np.int64) + size - 1, bits - 1)) & x.dtype.type(1)
    inside = np.minimum(np.maximum(bits - start.astype(np.int64), 0), size)
    mask = ~shift_left(np.full_like(moved, -1), inside)
    return np.where(size == 0, x.dtype.type(0), (moved & mask) | np.where(sign != 0, ~mask, x.dtype.type(0)))


def insert(field: Values, x: Values, position: Values, length: Values) -> Values:
    """Return x with the low bits of ``field`` put at ``position`` (bfi)."""
    start, size = position & np.uint32(0xFF), length & np.uint32(0xFF)
    ones = np.full_like(x, (1 << 8 * x.dtype.itemsize) - 1)
    mask = shift_left(~shift_left(ones, size), start)
    return (x & ~mask) | (shift_left(field, start) & mask)


def permute(low: Values, top: Values, selector: Values) -> Values:
    """Return the four bytes of top:low that the selector's nibbles name; bit 3 of a nibble replicates the sign."""
    word = (top.astype(np.uint64) << np.uint64(32)) | low.astype(np.uint64)
    result = np.zeros_like(selector)
    for i in range(4):
        nibble = (selector >> np.uint32(4 * i)) & np.uint32(0xF)
        byte = ((word >> (np.uint64(8) * (nibble & np.uint32(7)).astype(np.uint64))) & np.uint64(0xFF)).astype(np.uint32)
        sign = np.where(byte & np.uint32(0x80), np.uint32(0xFF), np.uint32(0))
        result = result | (np.where(nibble & np.uint32(8), sign, byte) << np.uint32(8 * i)).astype(np.uint32)
    return result


def logic3(a: Values, b: Values, c: Values, table: int) -> Values:
    """Return the bitwise function of three words whose truth table is ``table`` (lop3)."""
    result = np.zeros_like(a & b & c)
    for row in range(8):
        if table >> row & 1:
            result = result | ((a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c))
    return result


def count_bits(x: Values) -> Values:
    return np.bitwise_count(x).astype(np.uint32)


def leading_zeros(x: Values) -> Values:
    smeared, shift = x, 1
    while shift < 8 * x.dtype.itemsize:
        smeared = smeared | (smeared >> x.dtype.type(shift))
        shift *= 2
    return np.uint32(8 * x.dtype.itemsize) - count_bits(smeared)


def find_leading(x: Values, as_shift: bool) -> Values:
    """Return the position of the most significant bit that is not the sign (bfind); all ones if there is none."""
    bits = unsigned(np.where(x < 0, ~x, x) if x.dtype.kind == "i" else x)
    zeros = leading_zeros(bits)
    found = zeros if as_shift else np.uint32(8 * x.dtype.itemsize - 1) - zeros
    return np.where(bits == 0, np.uint32(0xFFFFFFFF), found)


def reverse_bits(x: Values) -> Values:
    data = np.ascontiguousarray(x).reshape(-1, 1).view(np.uint8)
    return np.ascontiguousarray(BYTE_REVERSED[data][:, ::-1]).view(x.dtype).reshape(np.shape(x))
