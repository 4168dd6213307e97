"""The certificate of ``gap.semidefinite`` written for reading: the whole matrix at once, LAPACK, no reuse of anything.

``blocks`` are the matrices of the chain (``chain.py``): slope * S_l for hidden layers, the output's O last. P has the
blocks (I, diag(T_(L-1)), ..., diag(T_1), rho^2 I) on its diagonal; next to it O and T_l slope S_l / 2.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

EPS = 2.0**-52
CONSTANT = 0.5
MARGIN, RAISE = 1.0 + 1e-3, 1.002
RATE, KEEP, KEEP_SPREAD = 0.2, 0.6, 0.9


def certified_gap(
    weights: Sequence[Doubles], deltas: Sequence[Doubles], biases: Sequence[Doubles], slope: float, *, steps: int
) -> float:
    """Return a proved upper bound of the gap of one trial, inf if none was found."""
    unit = 2.0 ** np.ceil(np.log2(max(np.linalg.norm(d, 2) for d in deltas)))
    biased = any(b.any() for b in biases)
    blocks = chain(weights, deltas, biases, slope, unit)
    multipliers = search(blocks, [w.shape[0] for w in weights], steps)
    if multipliers is None:
        return np.inf
    if not biased:
        return float(unit * proved(blocks, multipliers))
    return float(unit * min(proved_with(blocks, multipliers, 2.0**power) for power in range(-5, 2)))


def proved_with(blocks: Sequence[Doubles], multipliers: Sequence[Doubles], constant: float) -> float:
    """Return the bound with the constant input at another scale."""
    first = blocks[0].copy()
    first[:, -1] *= CONSTANT / constant
    return proved([first, *blocks[1:]], multipliers) * float(np.sqrt(1.0 + constant**2)) * (1.0 + 4.0 * EPS)


def chain(
    weights: Sequence[Doubles], deltas: Sequence[Doubles], biases: Sequence[Doubles], slope: float, unit: float
) -> list[Doubles]:
    """Return slope * S_l of every hidden layer and O, for states (h, e / unit, constant)."""
    biased = any(b.any() for b in biases)
    blocks = []
    for layer, (w, delta, b) in enumerate(zip(weights, deltas, biases, strict=True)):
        to_h = np.hstack([w, np.zeros_like(w)])
        to_e = np.hstack([-delta / unit, w - delta])
        if biased:
            to_h = np.hstack([to_h, b[:, None] / CONSTANT])
            to_e = np.hstack([to_e, np.zeros((len(b), 1))])
        block = to_e if layer == len(weights) - 1 else slope * np.vstack([to_h, to_e])
        if biased and layer < len(weights) - 1:
            block = np.vstack([block, np.zeros(block.shape[1])])
            block[-1, -1] = 1.0
        if layer == 0:
            d = w.shape[1]
            block = np.delete(block, np.arange(d, 2 * d), axis=1)
        blocks.append(block)
    return blocks


def eliminated(blocks: Sequence[Doubles], multipliers: Sequence[Doubles]) -> tuple[Doubles, list[Doubles]] | None:
    """Return Q_0 and every layer's map from the state before it to its maximiser; None where P is not positive."""
    gram: Doubles = blocks[-1].T @ blocks[-1]
    maps: list[Doubles] = []
    for block, t in zip(blocks[-2::-1], multipliers[::-1], strict=True):
        rest = np.diag(t) - gram
        try:
            np.linalg.cholesky(rest)
        except np.linalg.LinAlgError:
            return None
        coupling = 0.5 * t[:, None] * block
        maps.append(np.asarray(np.linalg.solve(rest, coupling), dtype=np.float64))
        gram = coupling.T @ maps[-1]
    return (gram + gram.T) / 2, maps[::-1]


def search(blocks: Sequence[Doubles], widths: Sequence[int], steps: int) -> list[Doubles] | None:
    """Return the best multipliers seen: one for all h and one for all e of a layer at first, then one a neuron."""
    multipliers = first_multipliers(blocks, widths)
    best, lowest, rate = None, np.inf, RATE
    first_steps, moved = 2 * len(blocks), 0
    means = [np.zeros_like(t) for t in multipliers]
    spreads = [np.zeros_like(t) for t in multipliers]
    for step in range(first_steps + steps + 1):
        if step == first_steps and best is not None:
            multipliers = [t.copy() for t in best]
        found = eliminated(blocks, multipliers)
        if found is None:
            if best is None:
                return None
            multipliers, rate = [np.sqrt(t * b) for t, b in zip(multipliers, best, strict=True)], 0.7 * rate
            continue
        values, vectors = np.linalg.eigh(found[0])
        if values[-1] < lowest:
            lowest, best = values[-1], [t.copy() for t in multipliers]
        if not values[-1] > 0.0:
            break
        share = max(step - first_steps, 0) / max(steps, 1)
        weights = (np.maximum(values, 0.0) / values[-1]) ** (2 ** (3 + int(5 * share)))
        state = vectors * np.sqrt(weights / weights.sum())
        moved += step >= first_steps
        for layer, (block, to_y) in enumerate(zip(blocks[:-1], found[1], strict=True)):
            z, state = block @ state, to_y @ state
            squares, products = np.sum(state * state, axis=1), np.sum(state * z, axis=1)
            t = multipliers[layer]
            if step < first_steps:
                for group in groups_of(widths[layer], len(t)):
                    own = squares[group].sum()
                    t[group] *= np.sqrt(np.clip(own / max(products[group].sum(), 1e-3 * own + 1e-300), 0.2, 5.0))
            else:
                slopes = t * (products - squares)
                means[layer] = KEEP * means[layer] + (1.0 - KEEP) * slopes
                spreads[layer] = KEEP_SPREAD * spreads[layer] + (1.0 - KEEP_SPREAD) * slopes**2
                size = np.sqrt(spreads[layer] / (1.0 - KEEP_SPREAD**moved))
                direction = means[layer] / (1.0 - KEEP**moved) / (size + 1e-12)
                t *= np.exp(-rate * (1.0 - 0.9 * share) * direction)
    return best


def first_multipliers(blocks: Sequence[Doubles], widths: Sequence[int]) -> list[Doubles]:
    """Return multipliers for which P is positive, from the last layer down: one for all h, all e and the constant."""
    multipliers: list[Doubles] = []
    gram = blocks[-1].T @ blocks[-1]
    for block, width in zip(blocks[-2::-1], widths[-2::-1], strict=True):
        t = np.ones(len(gram))
        groups = [g for g in groups_of(width, len(gram)) if g.start < g.stop]
        norms = [np.linalg.norm(gram[g, g], 2) for g in groups]
        for group, norm in zip(groups, norms, strict=True):
            t[group] = (len(groups) + 1.0) * max(norm, 1e-8 * max(norms))
        coupling = 0.5 * t[:, None] * block
        gram = coupling.T @ np.linalg.solve(np.diag(t) - gram, coupling)
        multipliers.insert(0, t)
    return multipliers


def groups_of(width: int, size: int) -> tuple[slice, slice, slice]:
    """Return where h, e and the constant lie in a state."""
    return slice(0, width), slice(width, 2 * width), slice(2 * width, size)


def proved(blocks: Sequence[Doubles], multipliers: Sequence[Doubles]) -> float:
    """Return a rho for which P - slack I has a Cholesky factor; all variables scaled to unit diagonal first."""
    found = eliminated(blocks, multipliers)
    assert found is not None
    rho = np.sqrt(np.linalg.eigvalsh(found[0])[-1]) * MARGIN
    roots = [np.ones(blocks[-1].shape[0]), *(np.sqrt(t) for t in multipliers[::-1])]
    sizes = [len(r) for r in roots] + [blocks[0].shape[1]]
    at = np.concatenate([[0], np.cumsum(sizes)])
    slack = 4.0 * EPS * (at[-1] + 8.0) ** 2
    for _ in range(300):
        matrix = np.eye(at[-1]) * (1.0 - slack)
        for place, block in enumerate(blocks[::-1]):
            rows, columns = slice(at[place], at[place + 1]), slice(at[place + 1], at[place + 2])
            right = roots[place + 1] if place + 1 < len(roots) else np.full(sizes[-1], rho)
            left = roots[place][:, None] * (1.0 if place == 0 else 0.5)
            matrix[columns, rows] = (left * block / right).T
        try:
            np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            rho *= RAISE
        else:
            return float(rho * (1.0 + 4.0 * EPS))
    return np.inf
