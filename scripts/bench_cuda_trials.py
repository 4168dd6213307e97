"""Whole trials on a GPU: against PyTorch on the same GPU and the cpu backend on all cores, and where the time goes."""

import os
import statistics
import time
from collections import defaultdict

import numpy as np
from bench_clock import row
from bench_trials import point, unit_inputs

from simprune.backends.cpu import CpuBackend
from simprune.design.block import Block
from simprune.gap.ascent import Ascent
from simprune.gap.spectral import Spectral

ROUNDS = 7
CORES = len(os.sched_getaffinity(0))


def trials():
    """Print rows of whole trials with given inputs, and of the rows of a run."""
    from simprune.backends.cuda import CudaBackend
    from simprune.backends.cuda_gpu import gpu_device

    backend = CudaBackend(device=gpu_device())
    print("  whole trial, alpha .5, depth 3: sample, mask, both passes, gap of B inputs; wall clock, interleaved")
    for columns in (8, 64):
        for d in (64, 256, 1024):
            _given_inputs(backend, d, columns)
    print("  gap and gradient at 16 inputs, alpha .5, depth 3, masks at hand; PyTorch: autograd of both masked networks")
    for d in (64, 256, 1024):
        _steps(backend, d)
    print(f"  rows of a run (16 restarts x 10 steps, float64 evaluation) against the cpu backend, {CORES} threads")
    for d, certified in ((64, False), (256, False), (1024, False), (64, True), (256, True)):
        _rows(backend, d, certified)


def _given_inputs(backend, d, columns):
    cell, x = point(d, 3, 0.5), unit_inputs(d, columns)
    n = min(4096, (1 << 28) // (3 * d * d))
    there = {}

    def ours():
        ops = backend.open(cell, np.arange(n), None)
        (pruned,) = ops.prune([cell.rule])
        if not there:
            there["x"] = backend.device.upload(np.broadcast_to(x, (n, *x.shape)).copy())
        return ops.gaps(ops.difference(ops.forward(there["x"]), pruned)).max(axis=1)

    _compare(f"B = {columns}, d = {d}", n, {"ours": ours, **_torch(cell, x, n)})


def _compare(what, n, tasks):
    """Print our time a trial and PyTorch's over it, if it is installed, and our kernels."""
    seconds = wall(tasks)
    here = f"{statistics.median(seconds['ours']) / n * 1e6:.2f} us"
    times = "not installed"
    if "PyTorch" in seconds:
        times = f"{statistics.median(a / b for a, b in zip(seconds['PyTorch'], seconds['ours'], strict=True)):.2f}"
    row(f"{what}, {n} trials ({here} each): PyTorch / ours", times, "", met=None)
    _breakdown(tasks["ours"])


def _steps(backend, d):
    cell = point(d, 3, 0.5)
    n = min(4096, (1 << 28) // (3 * d * d))
    ops = backend.open(cell, np.arange(n), None)
    (pruned,) = ops.prune([cell.rule])
    x = ops.random_inputs(5, 16)
    _compare(f"d = {d}", n, {"ours": lambda: ops.gap_and_gradient(x, pruned)[0], **_torch_step(cell, n)})


def _rows(backend, d, certified):
    estimators = (Ascent(restarts=16, steps=10), *((Spectral(),) if certified else ()))
    cell = point(d, 3, 0.5, estimators=estimators)
    n = min(4096, (1 << 27) // (3 * d * d)) // (4 if certified else 1)
    block = Block(points=(cell,), first=0, stop=n)
    cores = CpuBackend(threads=CORES)
    seconds = wall({"ours": lambda: backend.run(block), "cpu": lambda: cores.run(block)}, rounds=3)
    times = statistics.median(a / b for a, b in zip(seconds["cpu"], seconds["ours"], strict=True))
    here = f"{statistics.median(seconds['ours']) / n * 1e6:.1f} us"
    what = "certified" if certified else "lower values"
    row(f"{what}, d = {d}, {n} trials ({here} each): cpu / cuda", f"{times:.1f}", "", met=None)
    _breakdown(lambda: backend.run(block))


def wall(tasks, rounds=ROUNDS):
    """Return the wall-clock seconds of every task in every round, interleaved, after one call each."""
    for task in tasks.values():
        task()
    seconds = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def _breakdown(task):
    """Print the kernels that take most of a task, by the device's own clock, and how much of the wall clock is theirs."""
    from simprune.backends.compile_cuda import cuda
    from simprune.backends.cuda_gpu import GpuDevice

    events, launch = defaultdict(list), GpuDevice._launch

    def timed(self, kernel, grid, arguments):
        pair = cuda.event(timing=True), cuda.event(timing=True)
        pair[0].record()
        launch(self, kernel, grid, arguments)
        pair[1].record()
        events[kernel.name].append(pair)

    task()
    started = time.perf_counter()
    task()
    cuda.synchronize()
    seconds = time.perf_counter() - started
    GpuDevice._launch = timed
    try:
        task()
        cuda.synchronize()
    finally:
        GpuDevice._launch = launch
    spent = {name: sum(cuda.event_elapsed_time(*pair) for pair in pairs) / 1e3 for name, pairs in events.items()}
    most = sorted(spent, key=spent.__getitem__, reverse=True)[:6]
    parts = ", ".join(f"{name} {spent[name] * 1e3:.2f} ({len(events[name])})" for name in most)
    print(f"    {seconds * 1e3:.1f} ms, kernels {sum(spent.values()) * 1e3:.1f} ms: {parts}", flush=True)


def _torch(cell, x, n):
    try:
        import torch
    except ImportError:
        return {}
    there = torch.from_numpy(x).cuda()

    @torch.no_grad()
    def run():
        full = kept = there.expand(n, *there.shape)
        for layer, (d_out, d_in) in enumerate(cell.network.shapes):
            bound, k = 1 / np.sqrt(max(d_out, d_in)), cell.n_pruned[layer]
            w = torch.empty(n, d_out, d_in, device="cuda").uniform_(-bound, bound)
            size = w.abs().view(n, -1)
            cut = torch.topk(size, k, dim=1, largest=False, sorted=False).values.max(dim=1).values
            left = torch.where(size.view_as(w) <= cut[:, None, None], 0, w)
            full, kept = torch.bmm(w, full), torch.bmm(left, kept)
            if layer < cell.network.depth - 1:
                full, kept = full.relu(), kept.relu()
        return (full - kept).norm(dim=1).amax(dim=1).cpu()

    return {"PyTorch": run}


def _torch_step(cell, n):
    try:
        import torch
    except ImportError:
        return {}
    layers = []
    for layer, (d_out, d_in) in enumerate(cell.network.shapes):
        bound = 1 / np.sqrt(max(d_out, d_in))
        w = torch.empty(n, d_out, d_in, device="cuda").uniform_(-bound, bound)
        size = w.abs().view(n, -1)
        cut = size.kthvalue(cell.n_pruned[layer], dim=1).values
        layers.append((w, torch.where(size.view_as(w) <= cut[:, None, None], 0, w)))
    x = torch.nn.functional.normalize(torch.randn(n, cell.network.widths[0], 16, device="cuda"), dim=1)
    x.requires_grad_()

    def run():
        full = kept = x
        for layer, (w, left) in enumerate(layers):
            full, kept = torch.bmm(w, full), torch.bmm(left, kept)
            if layer < len(layers) - 1:
                full, kept = full.relu(), kept.relu()
        gaps = (full - kept).norm(dim=1)
        (gradient,) = torch.autograd.grad(gaps.sum(), x)
        return gaps.detach().cpu(), gradient

    return {"PyTorch": run}
