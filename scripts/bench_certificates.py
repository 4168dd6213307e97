"""Certified over attained gap of the spectral and the semidefinite certificate, and what they cost; bounds' times."""

import subprocess
import sys
import time

import numpy as np
from bench_clock import head, interleaved, median, ratio, row
from bench_trials import point

from simprune.backends.cpu import CpuBackend
from simprune.design.block import Block
from simprune.gap.ascent import Ascent
from simprune.gap.sampled import Sampled
from simprune.gap.semidefinite import Semidefinite
from simprune.gap.spectral import Spectral
from simprune.model.distributions import Uniform
from simprune.model.pruning import MagnitudePruning
from simprune.theory.layers import pruned_norm
from simprune.theory.minimal_width import minimal_network_width

ONE = Sampled(samples=1)
SEARCH = Ascent(restarts=12, steps=120)


def certificates():
    head("Certified / attained gap (mean over trials), uniform weights, ReLU, magnitude pruning; plain -> semidefinite")
    for d, trials in ((64, 8), (128, 4), (256, 2), (512, 1)):
        for depth in (2, 3, 4):
            for alpha in (0.3, 0.5):
                cells = [point(d, depth, alpha, estimators=(SEARCH, upper)) for upper in (Spectral(), Semidefinite())]
                plain, sharp = (CpuBackend().run(Block(points=(c,), first=0, stop=trials))[0].columns for c in cells)
                before, after = (float(np.mean(c["gap_upper"] / c["gap_lower"])) for c in (plain, sharp))
                share = after / before
                row(
                    f"d = {d}, L = {depth}, alpha {alpha}",
                    f"{before:.2f} -> {after:.2f} (x {share:.2f})",
                    "x .5" if d <= 128 else "",
                    met=share <= 0.5 if d <= 128 else None,
                )


def certificate_costs():
    head("Cost of a certificate against the ascent of 16 restarts x 30 steps (the default), alpha .5")
    for d, trials in ((64, 8), (128, 4), (256, 2)):
        for depth in (2, 3, 4):
            uppers = {e.name: point(d, depth, 0.5, estimators=(ONE, e)) for e in (Spectral(), Semidefinite())}
            cells = {"ascent": point(d, depth, 0.5, estimators=(Ascent(),)), **uppers}
            blocks = {name: Block(points=(cell,), first=0, stop=trials) for name, cell in cells.items()}
            tasks = {name: lambda block=block: CpuBackend().run(block) for name, block in blocks.items()}
            seconds = interleaved(tasks, rounds=3, budget=8)
            shares = [ratio(seconds, name, "ascent") for name in ("spectral", "semidefinite")]
            each = " / ".join(f"{median(seconds, name) / trials * 1e3:.1f}" for name in tasks)
            row(
                f"d = {d}, L = {depth} ({each} ms a trial)",
                f"{shares[0]:.2f}; {shares[1]:.1f} x ascent",
                "spectral < 1",
                met=shares[0] < 1,
            )


def bounds():
    head("A-priori bounds: wall clock")
    law, shape = Uniform(), (256, 256)
    rules = [MagnitudePruning(alpha=0.3 + 0.001 * i) for i in range(100)]
    pruned_norm(shape, law, rules[0], n_pruned=rules[0].n_pruned(65536, 0), delta=0.0125)
    started = time.perf_counter()
    for rule in rules:
        pruned_norm(shape, law, rule, n_pruned=rule.n_pruned(65536, 0), delta=0.0125)
    warm = (time.perf_counter() - started) * 10
    row("one layer's ||Delta||, warm (100 different counts)", f"{warm:.1f} ms", "<= 5 ms", met=warm <= 5)
    code = (
        "import time; from simprune.theory.layers import pruned_norm; from simprune.model.distributions import Uniform;"
        "from simprune.model.pruning import MagnitudePruning; t = time.perf_counter();"
        "pruned_norm((256, 256), Uniform(), MagnitudePruning(alpha=0.5), n_pruned=256, delta=0.0125);"
        "print(time.perf_counter() - t)"
    )
    cold = sorted(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(5))[2] * 1e3
    row("the same in a fresh process, without imports", f"{cold:.0f} ms", "<= 100 ms", met=cold <= 100)
    for depth, alpha, epsilon in ((2, 0.5, 0.1), (3, 0.3, 0.1), (4, 0.1, 0.5)):
        cell = point(8, depth, alpha)
        started = time.perf_counter()
        found = minimal_network_width(cell.network, cell.rule, epsilon=epsilon, delta=0.05, fixed_ends=False)
        seconds = time.perf_counter() - started
        label = f"d* for L = {depth}, alpha {alpha}, epsilon {epsilon}: {found.width}"
        row(label, f"{seconds:.2f} s", "<= 1 s", met=seconds <= 1)
