"""Whole trials, shared targets, float32 accuracy and the quality of the supremum."""

import numpy as np
from bench_clock import head, interleaved, median, ratio, row
from bench_kernels import torch, torch_mask

from simprune.backends.cpu import CpuBackend
from simprune.design.block import Block
from simprune.design.point import Point
from simprune.gap.ascent import Ascent
from simprune.gap.sampled import Sampled
from simprune.model.activations import ReLU
from simprune.model.distributions import Uniform
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import MagnitudePruning

SAMPLED = (Sampled(),)


def point(d, depth, alpha, *, estimators=SAMPLED):
    network = NetworkSpec(widths=(d,) * (depth + 1), activation=ReLU(), target=SampledTarget(distribution=Uniform()))
    rule = MagnitudePruning(alpha=alpha)
    return Point(network=network, rule=rule, estimators=estimators, seed=1)


def unit_inputs(d, columns):
    x = np.random.default_rng(5).standard_normal((d, columns)).astype(np.float32)
    return x / np.linalg.norm(x, axis=0)


def repeated(x, n):
    """The inputs of n trials."""
    return np.broadcast_to(x, (n, *x.shape)).copy()


def our_trials(cell, inputs):
    """Sample, prune and pass trials on given inputs; return the largest gap of each."""
    ops = CpuBackend().open(cell, np.arange(len(inputs)), None)
    (pruned,) = ops.prune([cell.rule])
    return ops.gaps(ops.difference(ops.forward(inputs), pruned)).max(axis=1)


def numpy_trial(rng, cell, x):
    """What a careful NumPy user writes: float32 generator, one partition a layer, two forward passes."""
    full = kept = x
    for layer, (d_out, d_in) in enumerate(cell.network.shapes):
        bound = np.float32(1 / np.sqrt(max(d_out, d_in)))
        w = (rng.random((d_out, d_in), dtype=np.float32) - np.float32(0.5)) * (2 * bound)
        size, k = np.abs(w), cell.n_pruned[layer]
        left = np.where(size <= np.partition(size.ravel(), k - 1)[k - 1], np.float32(0), w)
        full, kept = w @ full, left @ kept
        if layer < cell.network.depth - 1:
            full, kept = np.maximum(full, 0), np.maximum(kept, 0)
    return np.linalg.norm(full - kept, axis=0).max()


def torch_trial(cell, x):
    full = kept = x
    with torch.no_grad():
        for layer, (d_out, d_in) in enumerate(cell.network.shapes):
            bound = 1 / np.sqrt(max(d_out, d_in))
            w = torch.empty(d_out, d_in).uniform_(-bound, bound)
            left = w * torch_mask(w, cell.n_pruned[layer])
            full, kept = w @ full, left @ kept
            if layer < cell.network.depth - 1:
                full, kept = full.relu(), kept.relu()
        return (full - kept).norm(dim=0).max()


def whole_trials():
    head("Whole trial, alpha .5, depth 3: sample, mask, both forward passes, gap of B inputs")
    rng = np.random.default_rng(6)
    for columns, numpy_bar, torch_bar in ((8, 4.0, 9.0), (64, 2.5, 3.5)):
        for d in (64, 256, 512, 1024):
            cell, x = point(d, 3, 0.5, estimators=(Sampled(samples=columns),)), unit_inputs(d, columns)
            n = CpuBackend().batch_size(cell)
            inputs = repeated(x, n)
            tasks = {
                "ours": lambda c=cell, x=inputs: our_trials(c, x),
                "numpy": lambda c=cell, x=x: numpy_trial(rng, c, x),
            }
            if torch:
                tensor = torch.from_numpy(x)
                tasks["torch"] = lambda c=cell, x=tensor: torch_trial(c, x)
            seconds = interleaved(tasks, rounds=9, budget=8)
            ours = f"{median(seconds, 'ours') / n * 1e6:.0f} us"
            times = ratio(seconds, "numpy", "ours") * n
            row(f"B = {columns}, d = {d} ({ours}): NumPy / ours", f"{times:.1f}", f">= {numpy_bar}", met=times >= numpy_bar)
            if torch:
                times = ratio(seconds, "torch", "ours") * n
                row(f"B = {columns}, d = {d}: PyTorch / ours", f"{times:.1f}", f">= {torch_bar}", met=times >= torch_bar)


def shared_alphas():
    head("Eight alphas on the same targets against eight separate trials (sample, mask, both forward passes, gaps)")
    alphas = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)
    for d, columns in ((64, 8), (256, 8), (256, 64)):
        estimators = (Sampled(samples=columns),)
        cells, x = [point(d, 3, alpha, estimators=estimators) for alpha in alphas], unit_inputs(d, columns)
        inputs = repeated(x, CpuBackend().batch_size(cells[0]))

        def together(cells=cells, inputs=inputs):
            ops = CpuBackend().open(cells[0], np.arange(len(inputs)), None)
            found = ops.prune([cell.rule for cell in cells])
            passed = ops.forward(inputs)
            return [ops.gaps(ops.difference(passed, pruned)) for pruned in found]

        def apart(cells=cells, inputs=inputs):
            return [our_trials(cell, inputs) for cell in cells]

        times = ratio(interleaved({"together": together, "apart": apart}, rounds=7, budget=8), "apart", "together")
        row(f"d = {d}, B = {columns}: apart / together", f"{times:.1f}", ">= 2.5 (stretch 6)", met=times >= 2.5)
    cells = [point(256, 3, alpha, estimators=(Sampled(samples=64),)) for alpha in alphas]
    backend, n = CpuBackend(), 2 * CpuBackend().batch_size(cells[0])
    blocks = [Block(points=(cell,), first=0, stop=n) for cell in cells]
    whole = Block(points=tuple(cells), first=0, stop=n)
    tasks = {"together": lambda: backend.run(whole), "apart": lambda: [backend.run(block) for block in blocks]}
    times = ratio(interleaved(tasks, rounds=7, budget=8), "apart", "together")
    row("d = 256, 64 samples, rows with float64 evaluation: apart / together", f"{times:.1f}", "", met=None)


def accuracy():
    head("Gap in float32 against float64 on the same weights and inputs (largest relative error over the columns)")
    for d, depth, alpha in ((64, 3, 0.5), (256, 3, 0.5), (256, 3, 0.9), (1024, 3, 0.5), (1024, 3, 0.9), (256, 5, 0.9)):
        cell = point(d, depth, alpha)
        ops = CpuBackend().open(cell, np.arange(1), None)
        (pruned,) = ops.prune([cell.rule])
        x = unit_inputs(d, 16)
        passed = ops.forward(x[None].copy())
        gaps = ops.gaps(ops.difference(passed, pruned))[0]
        exact = np.array([ops.evaluate(x[None, :, c].copy(), pruned)[0][0] for c in range(16)])
        relative = np.median(exact / ops.output_norms(passed)[0])
        error = np.max(np.abs(gaps - exact) / np.where(exact > 0, exact, 1))
        label = f"d = {d}, L = {depth}, alpha {alpha}: relative gap {relative:.0e}"
        small = relative < 1e-8
        row(label, f"{error:.1e}", "none below 1e-8" if small else "<= 2e-5", met=None if small else bool(error <= 2e-5))


def supremum():
    head("Ascent: 16 restarts x 10 steps against the best known (256 x 200) and the largest of 4096 samples")
    for d, depth, alpha in ((64, 2, 0.5), (64, 3, 0.5), (64, 3, 0.1), (256, 3, 0.5)):
        n = 8 if d == 64 else 2
        quick, best, many = (
            point(d, depth, alpha, estimators=(estimator,))
            for estimator in (Ascent(restarts=16, steps=10), Ascent(restarts=256, steps=200), Sampled(samples=4096))
        )
        blocks = {
            name: Block(points=(c,), first=0, stop=n) for name, c in (("quick", quick), ("best", best), ("many", many))
        }
        gaps = {name: CpuBackend().run(block)[0].columns["gap_lower"] for name, block in blocks.items()}
        tasks = {name: lambda b=blocks[name]: CpuBackend().run(b) for name in ("quick", "many")}
        seconds = interleaved(tasks, rounds=3, budget=6)
        known = np.maximum(np.maximum(gaps["best"], gaps["quick"]), gaps["many"])
        share = float(np.median(gaps["quick"] / known))
        label = f"d = {d}, L = {depth}, alpha {alpha}"
        row(f"{label}: median share of the best known", f"{share:.3f}", ">= .85", met=share >= 0.85)
        higher = float(np.median(gaps["quick"] / gaps["many"]))
        times = ratio(seconds, "many", "quick")
        value = f"{higher:.2f} x higher, {times:.1f} x faster"
        row(f"{label}: against 4096 samples", value, ">= 1.5 in less time", met=higher >= 1.5 and times > 1)
