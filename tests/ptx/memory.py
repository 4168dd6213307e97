"""Memory of the device: global arrays at made-up addresses, and arenas of equal pieces for shared and local memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.ptx.order import Order, Shadow

Values = npt.NDArray[Any]
FIRST_ADDRESS, SPACING = 1 << 44, 1 << 36
SHARED_WINDOW, LOCAL_WINDOW, WINDOW = 1 << 40, 1 << 41, 1 << 36
ALL_DEFINED = 0x0101010101010101


class Piece:
    """Bytes that are loaded and stored in words of any width, with the marks of which bytes are defined."""

    def __init__(self, data: npt.NDArray[np.uint8], *, defined: npt.NDArray[np.uint8] | None) -> None:
        self.data, self.defined = data, defined
        self.shadow: Shadow | None = None
        self._views: dict[tuple[bool, int], Values] = {}

    def _view(self, width: int, marks: bool = False) -> Values:
        view = self._views.get((marks, width))
        if view is None:
            source: Any = self.defined if marks else self.data
            view = source[: source.size // width * width].view(f"u{width}")
            self._views[marks, width] = view
        return view

    def words(self, width: int) -> Values:
        """Return the memory as unsigned words."""
        return self._view(width)

    def load(self, places: Values, width: int) -> Values:
        """Return the words at ``places``, counted in words of this width."""
        return self._view(width)[places]

    def store(self, places: Values, values: Values, width: int) -> None:
        self._view(width)[places] = values
        if self.defined is not None:
            self._view(width, True)[places] = ALL_DEFINED >> (64 - 8 * width)

    def undefined(self, places: Values, width: int) -> Values | None:
        """Return which of the words have bytes that nothing has written, None if there are none."""
        if self.defined is None:
            return None
        bad = self._view(width, True)[places] != ALL_DEFINED >> (64 - 8 * width)
        return bad if bad.any() else None


class Segment(Piece):
    """A global array, or a table of the module."""

    def __init__(
        self, *, name: str, base: int, data: npt.NDArray[np.uint8], read_only: bool, undefined: bool = False
    ) -> None:
        super().__init__(data, defined=np.zeros(data.size, np.uint8) if undefined else None)
        self.name, self.base, self.read_only = name, base, read_only
        self.loaded, self.stored, self.atomics = 0, 0, 0


class GlobalMemory:
    """Segments far apart, so that an address that leaves one is in none."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self._recent: Segment | None = None

    def add(self, name: str, data: npt.NDArray[np.uint8], *, read_only: bool = False, undefined: bool = False) -> Segment:
        base = FIRST_ADDRESS + SPACING * len(self.segments)
        segment = Segment(name=name, base=base, data=data, read_only=read_only, undefined=undefined)
        self.segments.append(segment)
        return segment

    def watch(self, granule: int, order: Order) -> None:
        for segment in self.segments:
            segment.shadow = Shadow(-(-segment.data.size // granule), order)

    def locate(self, addresses: npt.NDArray[np.int64], width: int) -> Iterator[tuple[Segment | None, Values | None, Values]]:
        """Yield (segment, which of the addresses lie in it, their offsets); all of them is None, nowhere is segment None."""
        if self._recent is not None:
            offsets = addresses - self._recent.base
            if offsets.min() >= 0 and offsets.max() <= self._recent.data.size - width:
                yield self._recent, None, offsets
                return
        numbers = (addresses - FIRST_ADDRESS) // SPACING
        for number in np.unique(numbers):
            chosen = np.flatnonzero(numbers == number)
            if not 0 <= number < len(self.segments):
                yield None, chosen, addresses[chosen]
                continue
            segment = self.segments[number]
            offsets = addresses[chosen] - segment.base
            outside = offsets > segment.data.size - width
            if outside.any():
                yield None, chosen[outside], addresses[chosen[outside]]
            self._recent = segment
            yield segment, None if chosen.size == addresses.size else chosen, offsets

    def describe(self, address: int) -> str:
        """Return in words where ``address`` lies."""
        number, offset = divmod(address - FIRST_ADDRESS, SPACING)
        if offset > SPACING // 2:
            number, offset = number + 1, offset - SPACING
        if 0 <= number < len(self.segments):
            segment = self.segments[number]
            return f"byte {offset} of {segment.name}, which has {segment.data.size}"
        return f"address {address:#x}, near no array"


def arena(n_pieces: int, size: int) -> Piece:
    """Return undefined memory for ``n_pieces`` pieces of ``size`` bytes, a multiple of 16, one behind the other."""
    return Piece(np.zeros(n_pieces * size, np.uint8), defined=np.zeros(n_pieces * size, np.uint8))


def rounded(size: int, to: int = 16) -> int:
    return -(-size // to) * to
