"""Layers of a network: what they do to shapes, and their weights.

A shape is ``(n,)`` for vectors or ``(channels, height, width)`` for images; a one-dimensional signal is an image of height
1. Weighted layers are Dense and Conv2d; pooling and Flatten stand between them and have no weights.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from simprune.model.errors import InputError
from simprune.model.registry import Registered

Shape = tuple[int, ...]
Pair = tuple[int, int]

MAX_WIDTH = 1 << 40


class AbstractLayer(Registered, ABC):
    """A map of shapes; ``is_weighted`` layers have a kernel ``[outputs, inputs of one output, ...]``."""

    __slots__ = ()
    is_weighted: ClassVar[bool] = False

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape after the layer; InputError if the layer does not take ``shape``."""

    def weight_shape(self, shape: Shape) -> Shape:
        """Return the shape of the kernel on inputs of ``shape``, () without weights."""
        return ()

    def lipschitz(self, shape: Shape) -> float:
        """Return a Lipschitz constant of a layer without weights, in Euclidean norms."""
        return 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense(AbstractLayer):
    """A matrix ``[width, n]`` on vectors of n numbers."""

    name: ClassVar[str] = "dense"
    is_weighted: ClassVar[bool] = True
    width: int

    def __post_init__(self) -> None:
        check_whole(self.width, "width of a dense layer")

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise InputError(f"a dense layer must have a vector as input, got an image {list(shape)}; put flatten before it")
        return (self.width,)

    def weight_shape(self, shape: Shape) -> Shape:
        return (self.width, *shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv2d(AbstractLayer):
    """A convolution (as in networks: no reflection) with kernel ``[channels, c_in / groups, kh, kw]``.

    ``padding`` rows and columns are added on both sides, zeros or, if ``circular``, the opposite side's values; circular
    padding must be at most (kernel - 1) / 2, so that no output position is visited twice. Output size of each axis:
    floor((n + 2 padding - kernel) / stride) + 1. With kernel height 1 on inputs of height 1 it is a Conv1d.
    """

    name: ClassVar[str] = "conv2d"
    is_weighted: ClassVar[bool] = True
    channels: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    circular: bool = False
    groups: int = 1

    def __post_init__(self) -> None:
        check_whole(self.channels, "channels of a convolution")
        check_whole(self.groups, "groups of a convolution")
        _pair(self.kernel, "kernel of a convolution", least=1)
        _pair(self.stride, "stride of a convolution", least=1)
        _pair(self.padding, "padding of a convolution", least=0)
        if not isinstance(self.circular, bool):
            raise InputError(f"circular must be true or false, got {self.circular!r}; write one of them")
        if self.channels % self.groups:
            raise InputError(f"channels must be a multiple of groups, got {self.channels} and {self.groups}; change one")
        if self.circular and any(2 * p > k - 1 for p, k in zip(self.padding, self.kernel, strict=True)):
            raise InputError(
                f"circular padding must be at most (kernel - 1) / 2, got padding {list(self.padding)} for a kernel "
                f"{list(self.kernel)}; take less, or zero padding"
            )
        if not self.circular and any(p >= k for p, k in zip(self.padding, self.kernel, strict=True)):
            raise InputError(
                f"padding must be less than the kernel, got {list(self.padding)} for {list(self.kernel)}; "
                "outputs beyond that would be 0"
            )

    def output_shape(self, shape: Shape) -> Shape:
        c, h, w = _image(shape, "a convolution")
        if c % self.groups:
            raise InputError(f"input channels must be a multiple of groups, got {c} and {self.groups}; change one")
        sizes = [
            _slid(n + 2 * p, k, s, what="kernel")
            for n, p, k, s in zip((h, w), self.padding, self.kernel, self.stride, strict=True)
        ]
        return (self.channels, *sizes)

    def weight_shape(self, shape: Shape) -> Shape:
        return (self.channels, shape[0] // self.groups, *self.kernel)


def conv1d(
    channels: int, kernel: int, *, stride: int = 1, padding: int = 0, circular: bool = False, groups: int = 1
) -> Conv2d:
    """Return the convolution of one-dimensional signals, on inputs ``(c, 1, n)``.

    >>> conv1d(8, 3, padding=1).output_shape((2, 1, 100))
    (8, 1, 100)
    """
    pair = {"kernel": (1, kernel), "stride": (1, stride), "padding": (0, padding)}
    return Conv2d(channels=channels, circular=circular, groups=groups, **pair)


class AbstractPool(AbstractLayer):
    """Windows that slide over each channel; rows and columns that fill no whole window are left out."""

    __slots__ = ()

    @abstractmethod
    def window(self, shape: Shape) -> tuple[Pair, Pair]:
        """Return kernel and stride on inputs of ``shape``."""

    def output_shape(self, shape: Shape) -> Shape:
        c, h, w = _image(shape, "pooling")
        (kh, kw), (sh, sw) = self.window(shape)
        return (c, _slid(h, kh, sh, what="window"), _slid(w, kw, sw, what="window"))

    def multiplicity(self, shape: Shape) -> int:
        """Return an upper bound of the number of windows that hold one number, reached by large inputs."""
        (kh, kw), (sh, sw) = self.window(shape)
        _, h, w = self.output_shape(shape)
        return min(-(-kh // sh), h) * min(-(-kw // sw), w)


class AbstractAverage(AbstractPool):
    """The mean of each window."""

    __slots__ = ()

    def lipschitz(self, shape: Shape) -> float:
        """Return sqrt(multiplicity / size of a window): exact if windows do not overlap.

        Rows of the matrix sum to 1, its columns to at most multiplicity / size (Schur's test).
        """
        (kh, kw), _ = self.window(shape)
        return math.sqrt(self.multiplicity(shape) / (kh * kw)) * (1.0 + 1e-15)


class AbstractMaximum(AbstractPool):
    """The largest number of each window."""

    __slots__ = ()

    def lipschitz(self, shape: Shape) -> float:
        """Return sqrt(multiplicity): |max a - max b|^2 is at most the window's sum of |a - b|^2."""
        return math.sqrt(self.multiplicity(shape)) * (1.0 + 1e-15)


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePool(AbstractAverage):
    """Means of windows ``kernel`` (height, width) every ``stride``."""

    name: ClassVar[str] = "average_pool"
    kernel: Pair
    stride: Pair

    def __post_init__(self) -> None:
        _pair(self.kernel, "kernel of a pooling layer", least=1)
        _pair(self.stride, "stride of a pooling layer", least=1)

    def window(self, shape: Shape) -> tuple[Pair, Pair]:
        return self.kernel, self.stride


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool(AbstractMaximum):
    """Maxima of windows ``kernel`` (height, width) every ``stride``."""

    name: ClassVar[str] = "max_pool"
    kernel: Pair
    stride: Pair

    def __post_init__(self) -> None:
        _pair(self.kernel, "kernel of a pooling layer", least=1)
        _pair(self.stride, "stride of a pooling layer", least=1)

    def window(self, shape: Shape) -> tuple[Pair, Pair]:
        return self.kernel, self.stride


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalAveragePool(AbstractAverage):
    """The mean of every channel: ``(c, h, w)`` to ``(c, 1, 1)``."""

    name: ClassVar[str] = "global_average_pool"

    def window(self, shape: Shape) -> tuple[Pair, Pair]:
        return (shape[1], shape[2]), (1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalMaxPool(AbstractMaximum):
    """The maximum of every channel: ``(c, h, w)`` to ``(c, 1, 1)``."""

    name: ClassVar[str] = "global_max_pool"

    def window(self, shape: Shape) -> tuple[Pair, Pair]:
        return (shape[1], shape[2]), (1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten(AbstractLayer):
    """An image as a vector, in the order channel, row, column."""

    name: ClassVar[str] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


LAYERS: tuple[type[AbstractLayer], ...] = (
    Dense,
    Conv2d,
    AveragePool,
    MaxPool,
    GlobalAveragePool,
    GlobalMaxPool,
    Flatten,
)


def check_whole(value: Any, what: str, *, least: int = 1) -> None:
    """Refuse all but whole numbers from ``least`` to 2^40."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_WIDTH:
        raise InputError(f"{what} must be a whole number in {least}..2^40, got {value!r}; mend it")


def _pair(value: Any, what: str, *, least: int) -> None:
    if not isinstance(value, tuple) or len(value) != 2:
        raise InputError(f"{what} must be two numbers (height, width), got {value!r}; mend it")
    for size in value:
        check_whole(size, what, least=least)


def _image(shape: Shape, what: str) -> Shape:
    if len(shape) != 3:
        raise InputError(f"{what} must have an image [channels, height, width] as input, got {list(shape)}; reorder")
    return shape


def _slid(size: int, kernel: int, stride: int, *, what: str) -> int:
    if kernel > size:
        raise InputError(f"the {what} must fit into the (padded) input, got {kernel} on {size}; take a smaller one")
    return (size - kernel) // stride + 1
