"""What was tried for sharper certificates: each one's value over the attained gap, on the same trials.

pairs: f - F is a sum over l of V_L D' ... D' Delta_l D W_(l-1) ... D W_1 with diagonal matrices D of slopes in [0, 1];
neighbours A D B are bounded by (||A B|| + ||A|| ||B||) / 2 (D is half the identity and half a matrix of norm 1), each
chain cut into pairs and single layers in the best way. layer: the semidefinite relaxation with one multiplier a layer
for h and one for e, the like of ECLipsE's scalars. alone: the relaxation of target and pruned network each on its own
(LipSDP), whose sum bounds the gap and cannot see that they are close. cone: plain product with every ||W|| of a layer behind
a ReLU replaced by what a local search attains over non-negative inputs, a LOWER estimate of that norm: no certificate,
but no refinement by the cone can do better.
"""

import numpy as np
from bench_clock import head, row
from bench_trials import point

from simprune.backends.cpu import CpuBackend
from simprune.backends.reference_semidefinite import certified_gap
from simprune.design.block import Block
from simprune.gap.ascent import Ascent
from simprune.gap.semidefinite import Semidefinite
from simprune.theory.bounds import network_bound

SEARCH = Ascent(restarts=12, steps=120)


def tried():
    head("Value / attained gap, mean of 3 trials: plain, pairs, cone (limit), alone, one multiplier a layer, one a neuron")
    for d in (64, 128):
        for depth in (2, 3, 4):
            cells = [point(d, depth, 0.5, estimators=(SEARCH, Semidefinite(steps=steps))) for steps in (0, 16)]
            coarse, fine = (CpuBackend().run(Block(points=(c,), first=0, stop=3))[0].columns for c in cells)
            values = np.array([_plain_pairs_cone_alone(cells[0], trial) for trial in range(3)])
            ratios = [*(values.T / fine["gap_lower"]), *(c["gap_upper"] / fine["gap_lower"] for c in (coarse, fine))]
            told = ", ".join(f"{np.mean(ratio):.3g}" for ratio in ratios)
            row(f"d = {d}, L = {depth}, alpha .5", told, "", met=None)


def _plain_pairs_cone_alone(cell, trial):
    sampled = CpuBackend().rebuild(cell, trial, None)
    target, kept = ([w.astype(np.float64) for w in layers] for layers in (sampled.target, sampled.pruned))
    delta = [w - v for w, v in zip(target, kept, strict=True)]
    plain = [tuple(np.linalg.norm(w, 2) for w in layers) for layers in (target, kept, delta)]
    cone = [
        (norms[0], *(_cone_norm(w) for w in layers[1:])) for norms, layers in zip(plain, (target, kept, delta), strict=True)
    ]
    chains = [[*target[:i], delta[i], *kept[i + 1 :]] for i in range(len(target))]
    pairs = sum(_chain_norm(chain) for chain in chains)
    # a network against one whose weights are all pruned: its own Lipschitz constant
    zeros = [np.zeros(len(w)) for w in target]
    alone = sum(certified_gap(layers, layers, zeros, 1.0, steps=16) for layers in (target, kept))
    return network_bound(cell.network, *plain), pairs, network_bound(cell.network, *cone), alone


def _chain_norm(chain):
    """Bound sup ||M_L D M_(L-1) ... D M_1|| over diagonal D in [0, 1]: the best cut into pairs and single layers."""
    single = [np.linalg.norm(m, 2) for m in chain]
    best = [1.0, single[0]]
    for i in range(1, len(chain)):
        pair = 0.5 * (np.linalg.norm(chain[i] @ chain[i - 1], 2) + single[i] * single[i - 1])
        best.append(min(best[i] * single[i], best[i - 1] * pair))
    return best[-1]


def _cone_norm(w, starts=8, steps=100):
    """Largest ||W h|| found over unit h >= 0 by projected power iterations: a lower estimate of the cone's norm."""
    h = np.abs(np.random.default_rng(0).standard_normal((w.shape[1], starts)))
    for _ in range(steps):
        h = np.maximum(w.T @ (w @ h), 0.0)
        h /= np.linalg.norm(h, axis=0)
    return float(np.linalg.norm(w @ h, axis=0).max())
