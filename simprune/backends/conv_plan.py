"""Plans of convolutions and of their adjoints as sums of shifted images, the form that the kernels run.

A *correlation* reads a source image, padded with zeros or circularly, and writes for every output channel
out[y, x] = sum over source channels and taps of weight * padded[y' + dy, x' + dx]. A convolution is one correlation. Its
adjoint with stride s is s_h * s_w of them, one for each residue (its *phase*) of the output position modulo the stride,
because output positions of different residues meet different taps. A matrix is a convolution of 1 x 1 images.

The adjoint of circular padding is a sum: the adjoint writes the padded image, which is then folded.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from simprune.model.chain import Stage
from simprune.model.layers import Conv2d

Ints = npt.NDArray[np.int64]
Packed = tuple[Ints, Ints, Ints]
PHASE_FIELDS = 12
"""Of a phase: first weight, terms, first output row, its step, first output column, its step, numbers of rows and
columns, first source row, its step, first source column, its step."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Correlation:
    """Shapes of one correlation; ``offsets`` are positions in a padded group of channels, phase by phase.

    ``sizes``: groups, output channels and source channels of a group, source height and width, rows and columns put before
    it, padded height and width, output height and width, 1 if padding is circular.
    """

    sizes: Ints
    phases: Ints
    offsets: Ints

    @property
    def packed(self) -> Packed:
        """What the kernels take."""
        return self.sizes, self.phases, self.offsets


def n_padded(sizes: Ints) -> int:
    """Return the number of positions of the padded source, all channels, by ``Correlation.sizes``."""
    return int(sizes[0] * sizes[2] * sizes[7] * sizes[8])


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """What certificates need: the kernel ``[outputs, inputs, kh, kw]`` of one group, and the images' heights and widths."""

    groups: int
    kernel: tuple[int, int, int, int]
    stride: tuple[int, int]
    source: tuple[int, int]
    output: tuple[int, int]
    circular: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerPlan:
    """A weighted layer: forward and adjoint, and where its weights lie in the adjoint's order.

    ``folds``: the adjoint writes circularly padded images. ``geometry`` is what certificates take. ``order[i]`` is the
    weight that the adjoint has at flat place i; ``row`` and ``column`` are the compressed row (phase * c_in + channel) and
    the column of every weight there.
    """

    rows: int
    columns: int
    n_in: int
    n_out: int
    positions: int
    forward: Correlation
    adjoint: Correlation
    folds: bool
    geometry: Geometry
    order: Ints
    row: Ints
    column: Ints

    @property
    def n_image(self) -> int:
        """Number of positions that the adjoint writes, all channels."""
        sizes = self.adjoint.sizes
        return int(sizes[0] * sizes[1] * sizes[9] * sizes[10])

    @property
    def n_turned(self) -> int:
        """Number of compressed rows in the adjoint's order."""
        return len(self.adjoint.phases) * int(self.adjoint.sizes[0] * self.adjoint.sizes[1])


@lru_cache(maxsize=256)
def layer_plan(stage: Stage) -> LayerPlan:
    """Return the plan of a weighted stage."""
    layer = stage.layer if isinstance(stage.layer, Conv2d) else Conv2d(channels=stage.output[0], kernel=(1, 1))
    source = stage.input if len(stage.input) == 3 else (*stage.input, 1, 1)
    output = stage.output if len(stage.output) == 3 else (*stage.output, 1, 1)
    rows, columns = stage.matrix_shape
    adjoint, order = _adjoint(layer, source, output)
    row, column = _turned(adjoint, order, source[0])
    forward = _forward(layer, source, output)
    return LayerPlan(
        rows=rows,
        columns=columns,
        n_in=math.prod(source),
        n_out=math.prod(output),
        positions=stage.positions,
        forward=forward,
        adjoint=adjoint,
        folds=layer.circular,
        geometry=Geometry(
            groups=layer.groups,
            kernel=(output[0] // layer.groups, source[0] // layer.groups, *layer.kernel),
            stride=layer.stride,
            source=(source[1], source[2]),
            output=(output[1], output[2]),
            circular=layer.circular,
        ),
        order=order,
        row=row,
        column=column,
    )


def _sizes(groups: int, **sizes: int) -> Ints:
    return np.array([groups, *sizes.values()], dtype=np.int64)


def _forward(layer: Conv2d, source: tuple[int, ...], output: tuple[int, ...]) -> Correlation:
    (kh, kw), (sh, sw) = layer.kernel, layer.stride
    c_in, c_out = source[0] // layer.groups, output[0] // layer.groups
    height, width = (output[1] - 1) * sh + kh, (output[2] - 1) * sw + kw
    c, a, b = np.meshgrid(np.arange(c_in), np.arange(kh), np.arange(kw), indexing="ij")
    phase = [0, c.size, 0, 1, 0, 1, output[1], output[2], 0, sh, 0, sw]
    return Correlation(
        sizes=_sizes(
            layer.groups,
            rows=c_out,
            channels=c_in,
            h=source[1],
            w=source[2],
            top=layer.padding[0],
            left=layer.padding[1],
            height=height,
            width=width,
            out_h=output[1],
            out_w=output[2],
            circular=int(layer.circular),
        ),
        phases=np.array([phase], dtype=np.int64),
        offsets=((c * height + a) * width + b).ravel().astype(np.int64),
    )


def _adjoint(layer: Conv2d, source: tuple[int, ...], output: tuple[int, ...]) -> tuple[Correlation, Ints]:
    (kh, kw), (sh, sw), groups = layer.kernel, layer.stride, layer.groups
    c_in, c_out = source[0] // groups, output[0] // groups
    padded = [(o - 1) * s + k for o, s, k in zip(output[1:], layer.stride, layer.kernel, strict=True)]
    low = (0, 0) if layer.circular else layer.padding
    size = padded if layer.circular else source[1:]
    before = [-(-k // s) - 1 for k, s in zip(layer.kernel, layer.stride, strict=True)]
    height, width = ((lo + n - 1) // s + b + 1 for lo, n, s, b in zip(low, size, layer.stride, before, strict=True))
    index = np.arange(groups * c_out * c_in * kh * kw).reshape(groups, c_out, c_in, kh, kw)
    phases, offsets, order, first = [], [], [], 0
    for ry in range(sh):
        for rx in range(sw):
            rows, columns = _taps(kh, ry, sh), _taps(kw, rx, sw)
            y0, x0 = (ry - low[0]) % sh, (rx - low[1]) % sw
            n_y, n_x = len(range(y0, size[0], sh)), len(range(x0, size[1], sw))
            at_y = (y0 + low[0]) // sh + before[0] - (len(rows) - 1)
            at_x = (x0 + low[1]) // sw + before[1] - (len(columns) - 1)
            n_terms = c_out * len(rows) * len(columns)
            phases.append([first, n_terms, y0, sh, x0, sw, n_y, n_x, at_y, 1, at_x, 1])
            c, i, j = np.meshgrid(np.arange(c_out), np.arange(len(rows)), np.arange(len(columns)), indexing="ij")
            offsets.append(((c * height + i) * width + j).ravel())
            taken = index[:, :, :, rows][..., columns]
            order.append(taken.transpose(0, 2, 1, 3, 4).ravel())
            first += groups * c_in * n_terms
    correlation = Correlation(
        sizes=_sizes(
            groups,
            rows=c_in,
            channels=c_out,
            h=output[1],
            w=output[2],
            top=before[0],
            left=before[1],
            height=height,
            width=width,
            out_h=size[0],
            out_w=size[1],
            circular=0,
        ),
        phases=np.array(phases, dtype=np.int64),
        offsets=np.concatenate(offsets).astype(np.int64),
    )
    return correlation, np.concatenate(order).astype(np.int64)


def _taps(kernel: int, residue: int, stride: int) -> Ints:
    """Return the taps that meet padded positions of a residue, in rising order of the output position they read."""
    return np.arange(residue, kernel, stride, dtype=np.int64)[::-1]


def _turned(adjoint: Correlation, order: Ints, c_in: int) -> tuple[Ints, Ints]:
    row, column = np.empty(order.size, dtype=np.int64), np.empty(order.size, dtype=np.int64)
    for number, phase in enumerate(adjoint.phases):
        first, n_terms = int(phase[0]), int(phase[1])
        part = np.arange(c_in * n_terms)
        taken = order[first : first + part.size]
        if part.size:
            row[taken], column[taken] = number * c_in + part // n_terms, part % n_terms
    return row, column
