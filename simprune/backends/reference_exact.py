"""Branch and bound over the unit ball of few inputs: the gap to any accuracy, certified (the slow twin of ``exact``).

A cell is a box c + [-r, r]. On it every quantity is enclosed by an affine form a + A t + [-e, e], |t| <= r, of the
displacement t from the centre: exact through matrices; through an activation a chord (piecewise linear) or a first-order
Taylor form (smooth) with its error in e. The deviation f - F is propagated as such a form itself, so that its error
shrinks with it. Its norm is convex in t, hence largest at a vertex of the box cut by {2 c t <= 1 - |c|^2}, which holds
all of the ball that the box holds. The cell with the largest bound is halved until that bound is small enough.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from simprune.backends.reference_passes import each
from simprune.gap.exact import MOST_INPUTS, OUTSIDE, ROUNDING
from simprune.model.activations import AbstractActivation

Doubles = npt.NDArray[np.float64]
EPSILON = 2.0**-52


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """``centre + slopes @ t + [-rest, rest]``: ``[d]``, ``[d, n_inputs]``, ``[d]``."""

    centre: Doubles
    slopes: Doubles
    rest: Doubles

    def reach(self, half: Doubles) -> Doubles:
        """Return the largest distance from the centre for |t| <= half, ``[d]``."""
        reach: Doubles = np.abs(self.slopes) @ half + self.rest
        return reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Target and pruned network of one trial in float64, matrices ``[d_out, d_in]``.

    ``slack`` ``[2, d_1]`` is added to the rests of z and dz in the first layer.
    """

    activation: AbstractActivation
    weights: Sequence[Doubles]
    deltas: Sequence[Doubles]
    biases: Sequence[Doubles]
    slack: Doubles | None = None

    @property
    def n_inputs(self) -> int:
        """Number of inputs d_0."""
        return int(self.weights[0].shape[1])


def certified_supremum(problem: Problem, floor: float, *, tolerance: float, cells: int) -> tuple[float, Doubles]:
    """Return an upper bound of the gap, at most (1 + tolerance) times an attained value unless ``cells`` ran out.

    ``floor`` is a value that is attained for sure. The second value is the best input that was tried. The first is inf
    if more than ``MOST_INPUTS`` directions of the input matter.
    """
    if problem.n_inputs > MOST_INPUTS:
        basis = _basis(problem)
        if len(basis) > MOST_INPUTS:
            return np.inf, np.zeros(problem.n_inputs)
        upper, y = certified_supremum(_reduced(problem, basis), floor, tolerance=tolerance, cells=cells)
        return upper, y @ basis
    n = problem.n_inputs
    best, witness = floor, np.zeros(n)
    whole = np.full(n, OUTSIDE)
    heap = [(-_bound(problem, np.zeros(n), whole), 0, np.zeros(n), whole)]
    for count in range(1, 2 * cells - 1, 2):
        top, _, centre, half = heap[0]
        if -top <= (1.0 + tolerance) * best:
            break
        heapq.heappop(heap)
        value, x = _attained(problem, centre)
        if value > best:
            best, witness = value, x
        axis = int(np.argmax(half))
        half = half.copy()
        half[axis] *= 0.5
        for side in (-1, 1):
            middle = centre.copy()
            middle[axis] += side * half[axis]
            nearest = np.maximum(np.abs(middle) - half, 0.0)
            if nearest @ nearest <= OUTSIDE:
                bound = min(-top, _bound(problem, middle, half))
                heapq.heappush(heap, (-bound, count + (side > 0), middle, half))
    return max(-heap[0][0], best), witness


def _basis(problem: Problem) -> Doubles:
    """Return orthonormal rows that span what the first matrices of both networks see of the input."""
    rows = np.concatenate([problem.weights[0], problem.deltas[0]])
    lengths = np.linalg.norm(rows, axis=1)
    _, sizes, basis = np.linalg.svd(rows[lengths > 0.0] / lengths[lengths > 0.0, None], full_matrices=False)
    seen: Doubles = basis[sizes > 1e-9 * sizes[0]]
    return seen


def _reduced(problem: Problem, basis: Doubles) -> Problem:
    """Return the problem in the coordinates y = Q x, |y| <= |x|; what lies outside the span becomes slack."""
    first = (problem.weights[0], problem.deltas[0])
    inside = [matrix @ basis.T for matrix in first]
    g = (problem.n_inputs + 8.0) * (len(basis) + 2.0) * EPSILON
    slack = [
        np.linalg.norm(matrix - seen @ basis, axis=1) + g * np.linalg.norm(matrix, axis=1)
        for matrix, seen in zip(first, inside, strict=True)
    ]
    return replace(
        problem,
        weights=[inside[0], *problem.weights[1:]],
        deltas=[inside[1], *problem.deltas[1:]],
        slack=np.stack(slack) * (1.0 + 1e-9),
    )


def _attained(problem: Problem, centre: Doubles) -> tuple[float, Doubles]:
    x = centre / max(1.0, float(np.sqrt(centre @ centre)) * ROUNDING)
    moved = _propagate(problem, x, np.zeros(len(x)))
    return float(np.sqrt(moved.centre @ moved.centre) - np.sqrt(moved.rest @ moved.rest)) / ROUNDING, x


def _bound(problem: Problem, centre: Doubles, half: Doubles) -> float:
    moved = _propagate(problem, centre, half)
    largest = 0.0
    for t in _vertices(centre, half):
        value = moved.centre + moved.slopes @ t
        largest = max(largest, float(np.sqrt(value @ value)))
    return (largest + float(np.sqrt(moved.rest @ moved.rest))) * ROUNDING


def _vertices(centre: Doubles, half: Doubles) -> list[Doubles]:
    """Return the vertices of the box cut by the half-space 2 c t <= 1 - |c|^2 (slightly widened)."""
    room = OUTSIDE - centre @ centre
    found = []
    for signs in product((-1.0, 1.0), repeat=len(centre)):
        t = np.array(signs) * half
        excess = 2.0 * (centre @ t) - room
        if excess <= 0.0:
            found.append(t)
            continue
        for axis in range(len(centre)):
            along = 4.0 * centre[axis] * t[axis]
            if excess <= along:
                cut = t.copy()
                cut[axis] *= 1.0 - 2.0 * excess / along
                found.append(cut)
    return found


def _propagate(problem: Problem, centre: Doubles, half: Doubles) -> Form:
    """Return the form of f - F over a cell."""
    n = len(centre)
    h = Form(centre=centre, slopes=np.eye(n), rest=np.zeros(n))
    dh = Form(centre=np.zeros(n), slopes=np.zeros((n, n)), rest=np.zeros(n))
    last = len(problem.weights) - 1
    for layer, (weight, delta, bias) in enumerate(zip(problem.weights, problem.deltas, problem.biases, strict=True)):
        kept = weight - delta
        g = (weight.shape[1] + n + 8.0) * EPSILON
        size, moved_size = np.abs(h.centre) + h.reach(half), np.abs(dh.centre) + dh.reach(half)
        z = Form(
            centre=weight @ h.centre + bias,
            slopes=weight @ h.slopes,
            rest=np.abs(weight) @ (h.rest + g * size) + g * np.abs(bias),
        )
        dz = Form(
            centre=kept @ dh.centre - delta @ h.centre,
            slopes=kept @ dh.slopes - delta @ h.slopes,
            rest=np.abs(kept) @ (dh.rest + g * moved_size) + np.abs(delta) @ (h.rest + g * size),
        )
        if layer == 0 and problem.slack is not None:
            z, dz = replace(z, rest=z.rest + problem.slack[0]), replace(dz, rest=dz.rest + problem.slack[1])
        if layer == last:
            return dz
        if problem.activation.curvature == 0.0:
            h, dh = z, dz
        elif np.isinf(problem.activation.curvature):
            h, dh = _kinked(problem.activation.parameter, z, dz, half)
        else:
            h, dh = _smooth(problem.activation, z, dz, half)
    raise AssertionError("a network has at least one matrix")


def _kinked(low: float, z: Form, dz: Form, half: Doubles) -> tuple[Form, Form]:
    """Forms behind an activation of slope ``low`` below 0 and 1 above."""
    moved = Form(centre=z.centre + dz.centre, slopes=z.slopes + dz.slopes, rest=z.rest + dz.rest)
    slope, room = _chord(low, z.centre, z.reach(half))
    new_slope, new_room = _chord(low, moved.centre, moved.reach(half))
    h = Form(
        centre=slope * z.centre + 0.5 * room,
        slopes=slope[:, None] * z.slopes,
        rest=slope * z.rest + 0.5 * room + 8.0 * EPSILON * (np.abs(z.centre) + z.reach(half)),
    )
    turn, step = new_slope - slope, np.abs(dz.centre) + dz.reach(half)
    chords = Form(
        centre=turn * z.centre + new_slope * dz.centre + 0.5 * (new_room - room),
        slopes=turn[:, None] * z.slopes + new_slope[:, None] * dz.slopes,
        rest=np.abs(turn) * z.rest
        + new_slope * dz.rest
        + 0.5 * (new_room + room)
        + 8.0 * EPSILON * (np.abs(turn) * (np.abs(z.centre) + z.reach(half)) + step + new_room + room),
    )
    middle = 0.5 * (1.0 + low)
    between = Form(
        centre=middle * dz.centre,
        slopes=middle * dz.slopes,
        rest=middle * dz.rest + 0.5 * (1.0 - low) * step + 8.0 * EPSILON * step,
    )
    return h, _tighter(chords, between)


def _chord(low: float, centre: Doubles, reach: Doubles) -> tuple[Doubles, Doubles]:
    """Return slope and room with s(z) in slope z + [0, room] for |z - centre| <= reach."""
    bottom, top = centre - reach, centre + reach
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.clip((top - low * bottom) / (top - bottom), low, 1.0)
    room = np.maximum(top * (1.0 - slope), (low - slope) * bottom) * (1.0 + 8.0 * EPSILON)
    slope = np.where(bottom >= 0.0, 1.0, np.where(top <= 0.0, low, slope))
    return slope, np.where((bottom >= 0.0) | (top <= 0.0), 0.0, room)


def _smooth(activation: AbstractActivation, z: Form, dz: Form, half: Doubles) -> tuple[Form, Form]:
    """Forms behind a smooth activation: Taylor forms on small cells, the range of slopes on large ones."""
    steepest, bend, twist = activation.lipschitz, activation.curvature, activation.third_bound
    reach, moved_reach = z.reach(half), dz.reach(half)
    slope = each(activation.derivative, activation, z.centre)
    new_slope = each(activation.derivative, activation, z.centre + dz.centre)
    value = each(activation.scalar, activation, z.centre)
    moved = each(activation.difference, activation, z.centre, dz.centre)
    step, noise = np.abs(dz.centre) + moved_reach, 16.0 * EPSILON * steepest
    rounding = 8.0 * EPSILON * (np.abs(value) + abs(activation.value_at_zero)) + noise * reach
    taylor = Form(
        centre=value,
        slopes=slope[:, None] * z.slopes,
        rest=slope * z.rest + 0.5 * bend * reach**2 + rounding,
    )
    secant = Form(
        centre=value,
        slopes=0.5 * steepest * z.slopes,
        rest=0.5 * steepest * (z.rest + reach) + rounding,
    )
    turn = new_slope - slope
    moved_rounding = noise * (np.abs(moved) + step + reach)
    moved_taylor = Form(
        centre=moved,
        slopes=turn[:, None] * z.slopes + new_slope[:, None] * dz.slopes,
        rest=np.abs(turn) * z.rest
        + new_slope * dz.rest
        + 0.5 * twist * step * reach**2
        + bend * moved_reach * (reach + 0.5 * moved_reach)
        + moved_rounding,
    )
    moved_secant = Form(
        centre=0.5 * steepest * dz.centre,
        slopes=0.5 * steepest * dz.slopes,
        rest=0.5 * steepest * (dz.rest + step) + moved_rounding,
    )
    return _tighter(taylor, secant), _tighter(moved_taylor, moved_secant)


def _tighter(a: Form, b: Form) -> Form:
    """Return, neuron by neuron, the form with the smaller rest."""
    first = a.rest <= b.rest
    return Form(
        centre=np.where(first, a.centre, b.centre),
        slopes=np.where(first[:, None], a.slopes, b.slopes),
        rest=np.where(first, a.rest, b.rest),
    )
