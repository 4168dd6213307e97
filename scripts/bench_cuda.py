"""Kernels of the CUDA backend against the roofline: measured where there is a GPU, expected figures elsewhere."""

import statistics
import time

import numpy as np
from bench_clock import head

from simprune.backends import cuda_costs as costs
from simprune.backends.cuda_missing import missing

COLUMNS, WIDTH = 16, 1024
CHANNELS, SIDE = 64, 16
CONVOLUTION = "convolve32, a pair of 3 x 3, 64 to 64, 16 x 16"
# What data sheets promise: bytes and float32 operations a second; traffic reaches about nine tenths of it.
DEVICES = {
    "H100 SXM": (3.35e12, 67e12),
    "A100 80 GB": (2.04e12, 19.5e12),
    "RTX 4090": (1.01e12, 82.6e12),
    "T4": (0.32e12, 8.1e12),
}


def work(n_trials=1):
    """Cost of each kernel for ``n_trials`` layers of 1024 x 1024 in float32, 16 inputs, 2 % of the weights pruned, and of
    convolutions of as many inputs.
    """
    shape, size = (WIDTH, WIDTH, n_trials), 4
    return {
        "sample32": costs.sample(WIDTH * WIDTH, n_trials, size=size),
        "select and mask": costs.select_and_mask(*shape, size=size, n_passes=3),
        "smallest_kept32": costs.smallest_kept(*shape, size=size),
        "pair_product32": costs.pair_product(*shape, COLUMNS, size=size),
        "product32": costs.product(*shape, COLUMNS, size=size),
        "correct32": costs.correct(WIDTH, WIDTH * WIDTH // 50, n_trials, COLUMNS, size=size),
        "activate_pair32": costs.activate_pair(WIDTH, n_trials, COLUMNS, size=size),
        "evaluate_layer": costs.evaluate_layer(*shape, size=size),
        CONVOLUTION: costs.convolve(CHANNELS, 9 * CHANNELS, SIDE * SIDE * COLUMNS, n_trials, size=size, paired=True),
    }


def expected():
    """Return the lines of the expected figures."""
    lines = [f"{'microseconds a layer of 1024 x 1024 (roofline)':<48}" + "".join(f"{name:>12}" for name in DEVICES)]
    for name, cost in work().items():
        times = [cost.seconds(bytes_per_second=b, flops_per_second=f) * 1e6 for b, f in DEVICES.values()]
        lines.append(f"{name:<48}" + "".join(f"{value:>12.1f}" for value in times))
    return lines


def cuda():
    """Print expected figures, and measured ones where there is a GPU."""
    head("CUDA kernels")
    lacking = missing()
    if lacking:
        print(f"  not measured: {lacking}\n  expected from data sheets, not measured:")
        print("\n".join("  " + line for line in expected()), flush=True)
        return
    _measure()


def _measure():
    from simprune.backends.cuda import CudaBackend
    from simprune.backends.cuda_gpu import describe, gpu_device
    from simprune.design.point import Point
    from simprune.gap.ascent import Ascent
    from simprune.model.activations import ReLU
    from simprune.model.distributions import Uniform
    from simprune.model.network import NetworkSpec, SampledTarget
    from simprune.model.pruning import MagnitudePruning

    n_trials, device = 64, gpu_device()
    network = NetworkSpec(widths=(WIDTH, WIDTH), activation=ReLU(), target=SampledTarget(distribution=Uniform()))
    few, many = MagnitudePruning(pruned_fraction=0.02), MagnitudePruning(pruned_fraction=0.2)
    point = Point(network=network, rule=few, estimators=(Ascent(restarts=COLUMNS),), seed=1, precision="float32")
    ops = CudaBackend(device=device).open(point, np.arange(n_trials), None)
    x = ops.random_inputs(5, COLUMNS)
    masks = {rule: ops.prune([rule])[0] for rule in (few, many)}
    print(f"  {describe()}; {n_trials} trials; medians of 9, host overhead included")
    tasks = {
        "sample32": (ops._sample, ("sample32",)),
        "selection, masks and thresholds": (lambda: ops.prune([few]), ("select and mask", "smallest_kept32")),
        "target's pass": (lambda: ops.forward(x), ("product32",)),
        "pass there and back, 2 % pruned": (lambda: ops.gap_and_gradient(x, masks[few]), ("correct32", "correct32")),
        "pass there and back, 20 % pruned": (lambda: ops.gap_and_gradient(x, masks[many]), ("pair_product32",) * 2),
        "evaluation in float64": (lambda: ops.evaluate(ops.take(x, np.zeros(n_trials)), masks[few]), ("evaluate_layer",)),
    }
    tasks["pass there and back of a convolution"] = (_convolution(device, n_trials), (CONVOLUTION, CONVOLUTION))
    stated = work(n_trials)
    for name, (task, parts) in tasks.items():
        seconds = _seconds(device, ops, task)
        cost = sum((stated[part] for part in parts[1:]), stated[parts[0]])
        moved, computed = (cost.loaded + cost.stored) / seconds / 1e12, cost.flops / seconds / 1e12
        print(f"  {name:<40} {seconds * 1e6:>10.1f} us   {moved:>6.2f} TB/s   {computed:>6.2f} TFLOP/s")
    _others(n_trials)
    _torch_convolution(n_trials)
    from bench_cuda_trials import trials

    trials()


def _convolution(device, n_trials):
    from simprune.backends.cuda import CudaBackend
    from simprune.design.point import Point
    from simprune.gap.ascent import Ascent
    from simprune.model.activations import ReLU
    from simprune.model.chain import Chain
    from simprune.model.distributions import Uniform
    from simprune.model.layers import Conv2d
    from simprune.model.network import NetworkSpec, SampledTarget
    from simprune.model.pruning import MagnitudePruning

    chain = Chain(input=(CHANNELS, SIDE, SIDE), layers=(Conv2d(channels=CHANNELS, kernel=(3, 3), padding=(1, 1)),))
    network = NetworkSpec(chain=chain, activation=ReLU(), target=SampledTarget(distribution=Uniform()))
    rule = MagnitudePruning(pruned_fraction=0.2)
    point = Point(network=network, rule=rule, estimators=(Ascent(restarts=COLUMNS),), seed=1, precision="float32")
    ops = CudaBackend(device=device).open(point, np.arange(n_trials), None)
    x, mask = ops.random_inputs(5, COLUMNS), ops.prune([rule])[0]
    return lambda: ops.gap_and_gradient(x, mask)


def _seconds(device, ops, task):
    times = []
    for _ in range(10):
        started = time.perf_counter()
        task()
        device.download(ops._trials_there)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def _others(n_trials):
    """Time the two dense products of a pair on the libraries that are installed."""
    for name, prepare in (("torch", _torch), ("cupy", _cupy)):
        try:
            multiply, wait = prepare((n_trials, WIDTH, WIDTH), (n_trials, WIDTH, COLUMNS))
        except (ImportError, RuntimeError) as error:
            print(f"  {name}: not measured ({error})")
            continue
        times = []
        for _ in range(10):
            wait()
            started = time.perf_counter()
            multiply()
            multiply()
            wait()
            times.append(time.perf_counter() - started)
        print(f"  {name}: two dense products of the batch {statistics.median(times[1:]) * 1e6:.1f} us")


def _torch_convolution(n_trials):
    """Print what PyTorch needs for the same pass there and back of a convolution, all trials as groups."""
    try:
        import torch
    except ImportError:
        return
    torch.backends.cudnn.allow_tf32 = False
    x = torch.randn(COLUMNS, n_trials * CHANNELS, SIDE, SIDE, device="cuda", requires_grad=True)
    w = torch.randn(n_trials * CHANNELS, CHANNELS, 3, 3, device="cuda")
    left = torch.where(w.abs() < 0.25, 0, w)

    def run():
        full, kept = (torch.nn.functional.conv2d(x, v, padding=1, groups=n_trials) for v in (w, left))
        gaps = (full - kept).view(COLUMNS, n_trials, -1).norm(dim=2)
        torch.autograd.grad(gaps.sum(), x)

    times = []
    for _ in range(6):
        torch.cuda.synchronize()
        started = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    print(f"  torch: pass there and back of the convolutions, all trials {statistics.median(times[1:]) * 1e6:.1f} us")


def _torch(left, right):
    import torch

    w, x = torch.randn(*left, device="cuda"), torch.randn(*right, device="cuda")
    return lambda: torch.matmul(w, x), torch.cuda.synchronize


def _cupy(left, right):
    import cupy

    w, x = (cupy.random.standard_normal(shape, dtype="float32") for shape in (left, right))
    return lambda: cupy.matmul(w, x), cupy.cuda.Device().synchronize
