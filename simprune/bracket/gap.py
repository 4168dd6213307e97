"""The gap between two networks of the same architecture over a ball of inputs, between an attained and a certified value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends.explicit import ExplicitOps
from simprune.backends.explicit_norms import vector_norm
from simprune.backends.explicit_pair import Ball, ExplicitPair
from simprune.backends.reference_bounds import EPS, linear_gap
from simprune.gap.ascent import Ascent
from simprune.gap.base import LayerNorms
from simprune.gap.semidefinite import Semidefinite, elimination_flops, search_rounds, sharpens
from simprune.gap.spectral import telescoped_gap
from simprune.model.activations import AbstractActivation
from simprune.model.errors import InputError
from simprune.trained.network import TrainedNetwork

Doubles = npt.NDArray[np.float64]
CERTIFICATES = ("auto", "spectral", "semidefinite")
GAP_FLOPS = 2e12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GapBracket:
    """lower <= sup ||f(x) - F(x)|| <= upper over the ball, rounding errors included; all float64 and dimensionless.

    ``attained`` is the computed gap at ``witness`` (a flat input of the ball) with the rounding error bound ``noise``;
    lower = attained - noise, and 0 where that is negative. ``upper`` is the smallest of the ``certificates``: "spectral",
    "affine" (linear networks of matrices), "semidefinite" (where it applies and is affordable), or, at radius 0, "point":
    attained + noise. ``output_norm`` is an attained lower value of sup ||F(x)||.
    """

    attained: float
    noise: float
    witness: Doubles
    output_norm: float
    certificates: Mapping[str, float]

    @property
    def lower(self) -> float:
        """The attained gap less its rounding error bound."""
        return max(self.attained - self.noise, 0.0)

    @property
    def upper(self) -> float:
        """The smallest certificate."""
        return min(self.certificates.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, without the witness."""
        names = ("lower", "upper", "attained", "noise", "output_norm")
        return {name: getattr(self, name) for name in names} | {"certificates": dict(self.certificates)}


@dataclass(frozen=True, slots=True, kw_only=True)
class GapMethod:
    """How a bracket is computed: the ascent's restarts, steps and seed, and which certificate.

    "auto" takes the semidefinite certificate as well where it applies and needs at most ``most_flops`` operations.
    """

    restarts: int = 32
    steps: int = 200
    seed: int = 0
    certificate: str = "auto"
    most_flops: float = GAP_FLOPS

    def __post_init__(self) -> None:
        Ascent(restarts=self.restarts, steps=self.steps)
        if not 0 <= self.seed < 1 << 63:
            raise InputError(f"seed must lie in 0..2^63-1, got {self.seed}; take another")
        if self.certificate not in CERTIFICATES:
            raise InputError(f"certificate must be one of {', '.join(CERTIFICATES)}, got '{self.certificate}'; take one")


def network_gap(
    target: TrainedNetwork,
    pruned: TrainedNetwork,
    *,
    radius: float = 1.0,
    center: npt.ArrayLike | None = None,
    activation: AbstractActivation | None = None,
    method: GapMethod | None = None,
) -> GapBracket:
    """Bracket sup ||f(x) - F(x)|| over ||x - center|| <= radius (Euclidean; the unit ball by default).

    ``pruned`` may differ from ``target`` in any weights and biases. InputError where architectures or shapes differ.
    """
    from threadpoolctl import threadpool_limits

    pair = ExplicitPair.of(target, pruned, activation=activation)
    with threadpool_limits(limits=1, user_api="blas"):
        return bracket(pair, ball(pair, center=center, radius=radius), method or GapMethod())


def ball(pair: ExplicitPair, *, center: npt.ArrayLike | None, radius: float) -> Ball:
    """Return a ball of inputs of a pair; InputError where the center is no input."""
    width = pair.network.widths[0]
    point = np.zeros(width) if center is None else np.asarray(center, dtype=np.float64).ravel()
    if point.size != width:
        raise InputError(f"center must have the {width} numbers of an input, got {point.size}; take another")
    return Ball(center=point, radius=radius)


def bracket(pair: ExplicitPair, inputs: Ball, method: GapMethod) -> GapBracket:
    """Return both sides."""
    ops = ExplicitOps(pair=pair, ball=inputs, seed=method.seed)
    attained, noise, witness, output_norm = attained_gap(ops, method)
    certificates = cheap_certificates(ops)
    if takes_semidefinite(ops, method):
        certificates["semidefinite"] = semidefinite_gap(ops)
    return GapBracket(attained=attained, noise=noise, witness=witness, output_norm=output_norm, certificates=certificates)


def attained_gap(ops: ExplicitOps, method: GapMethod) -> tuple[float, float, Doubles, float]:
    """Return gap, rounding error bound, input and output norm of the best of an ascent's inputs and the center."""
    ascent = Ascent(restarts=method.restarts, steps=method.steps)
    found = ascent.estimate(ops, None, np.zeros(1, dtype=np.int64), ascent.prepare(ops))
    best = (float(found.gap[0]), float(found.noise[0]), ops.ball.point(found.witness[0]))
    gap, noise = ops.gap_at(ops.ball.center)
    if gap[0] - noise[0] > best[0] - best[1]:
        best = (float(gap[0]), float(noise[0]), ops.ball.center.copy())
    return *best, float(found.output_norm[0])


def cheap_certificates(ops: ExplicitOps) -> dict[str, float]:
    """Return the certificates that cost about as much as norms: "point" at radius 0, else "spectral" and "affine".

    Spectral: the telescoped bound of the layers' certified norms. Affine: gap(center) + radius ||A|| with f - F = A x + a,
    for linear networks of matrices alone.
    """
    gap, noise = ops.gap_at(ops.ball.center)
    at_center = float(gap[0] + noise[0]) * (1.0 + 4.0 * EPS)
    if ops.ball.radius == 0.0:
        return {"point": at_center}
    biases, moves = ops.bias_norms(), ops.bias_moves()
    found = {"spectral": float(telescoped_gap(ops.network, ops.layer_norms(None), biases, bias_moves=moves)[0])}
    weights = ops.pair.weights
    if ops.network.is_linear and ops.network.chain is None and not any(rest.any() for rest in weights.rest):
        norm = float(linear_gap([w[None] for w in weights.target], [-move[None] for move in weights.moves])[0])
        found["affine"] = (at_center + ops.ball.radius * norm) * (1.0 + 8.0 * EPS)
    return found


def takes_semidefinite(ops: ExplicitOps, method: GapMethod) -> bool:
    """Return whether the semidefinite certificate applies, is asked for and affordable."""
    if method.certificate == "spectral" or ops.ball.radius == 0.0:
        return False
    if not sharpens(ops.network, ops.bias_norms()):
        if method.certificate == "semidefinite":
            raise InputError(
                "the semidefinite certificate needs matrices alone, two layers or more, and a nondecreasing activation with "
                f"s(0) = 0, got {ops.network.activation.name} on {ops.network.depth} layers; take spectral"
            )
        return False
    rounds = search_rounds(ops.network.depth, Semidefinite().steps)
    return method.certificate == "semidefinite" or rounds * elimination_flops(ops.network.widths) <= method.most_flops


def semidefinite_gap(ops: ExplicitOps) -> float:
    """Return the semidefinite certificate, with what rounding changes in the two networks that it is about."""
    norms = ops.layer_norms(None)
    proved = ops.semidefinite_gap(None, norms, np.ones(1, dtype=np.bool_), steps=Semidefinite().steps)
    weights, biases, radius = ops.pair.weights, ops.pair.biases, ops.ball.radius
    rounding = np.array([vector_norm(rest) for rest in weights.rest])
    if radius != 1.0:
        sizes = sum(vector_norm(part[0]) for part in (weights.target, weights.pruned, weights.moves))
        rounding[0] = radius * (rounding[0] + EPS * sizes)
    first = ops.at_center
    shifts = [vector_norm(first.ez) + vector_norm(first.edz), *(vector_norm(rest) for rest in biases.rest[1:])]
    largest = np.maximum(norms.target, norms.pruned)
    changed = LayerNorms(target=largest, pruned=largest + rounding, delta=rounding[None])
    reach = tuple(b + m for b, m in zip(ops.bias_norms(), ops.bias_moves(), strict=True))
    extra = telescoped_gap(ops.network, changed, reach, bias_moves=tuple(shifts))[0]
    return float((proved[0] + 2.0 * extra) * (1.0 + 4.0 * EPS))
