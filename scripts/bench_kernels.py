"""Masks, selection, random numbers and certified norms against NumPy and PyTorch."""

import numpy as np
from bench_clock import head, interleaved, median, ratio, row

from simprune.backends.batch import sample32
from simprune.backends.certificates import norm_upper
from simprune.backends.compile import kernel
from simprune.backends.mask import magnitude_mask
from simprune.backends.philox import fill_words
from simprune.backends.selection import bracket, list_at_most, select
from simprune.rng import Purpose, stream

try:
    import torch
    from torch.nn.utils import prune as torch_prune

    torch.set_num_threads(1)
except ImportError:
    torch = None
TOP31 = (1 << 31) - 1
fill_words, norm_upper, select, list_at_most = (
    kernel(inner.py_func) for inner in (fill_words, norm_upper, select, list_at_most)
)


def numpy_mask(array, k):
    size = np.abs(array)
    return size > np.partition(size, k - 1)[k - 1]


def torch_mask(tensor, k):
    module = torch.nn.Module()
    module.weight = torch.nn.Parameter(tensor, requires_grad=False)
    torch_prune.l1_unstructured(module, "weight", amount=k)
    return module.weight_mask


def masks():
    head("Mask of any array, called from Python (float32; exact with ties)")
    rng = np.random.default_rng(1)
    for power in (20, 22, 24):
        n = 1 << power
        array = rng.uniform(-1, 1, n).astype(np.float32)
        for label, k in ((".1", int(n**0.9)), (".5", int(n**0.5)), ("D/2", n // 2)):
            tasks = {"ours": lambda a=array, k=k: magnitude_mask(a, k), "numpy": lambda a=array, k=k: numpy_mask(a, k)}
            if torch:
                tensor = torch.from_numpy(array)
                tasks["torch"] = lambda t=tensor, k=k: torch_mask(t, k)
            seconds = interleaved(tasks, rounds=5, budget=8)
            times = ratio(seconds, "numpy", "ours")
            row(f"2^{power}, alpha {label}: np.partition / ours", f"{times:.1f}", ">= 2.3", met=times >= 2.3)
            if torch:
                times = ratio(seconds, "torch", "ours")
                row(f"2^{power}, alpha {label}: torch l1_unstructured / ours", f"{times:.1f}", ">= 8", met=times >= 8)


def selection():
    head("Positions of the k smallest of i.i.d. rank keys (bracket from theory)")
    for power, bar in ((16, 2.5), (20, 2.5), (24, 1.5)):
        seconds = interleaved(selection_tasks(1 << power), rounds=9, budget=10)
        times = ratio(seconds, "ours", "read")
        row(f"2^{power}, alpha .5: ours / one read of the keys", f"{times:.2f}", f"<= {bar}", met=times <= bar)
        times = ratio(seconds, "numpy", "ours")
        row(f"2^{power}, alpha .5: np.partition / ours", f"{times:.1f}", ">= 7", met=times >= 7)
        if torch:
            times = ratio(seconds, "torch", "ours")
            row(f"2^{power}, alpha .5: torch l1_unstructured / ours", f"{times:.0f}", ">= 25", met=times >= 25)


def selection_tasks(n):
    rng = np.random.default_rng(2)
    keys = rng.integers(0, TOP31, n, dtype=np.int32)
    weights = rng.uniform(-1, 1, n).astype(np.float32)
    index, scratch = np.empty(n, np.int32), np.empty(n, np.int32)
    k = int(n**0.5)
    low, high = (np.int32(v) for v in bracket(n, k, TOP31))
    tasks = {
        "ours": lambda: select(keys, k, low, high, index, list_at_most(keys, high, index), scratch),
        "read": lambda: list_at_most(keys, np.int32(-1), index),
        "numpy": lambda: numpy_mask(weights, k),
    }
    if torch:
        tensor = torch.from_numpy(weights)
        tasks["torch"] = lambda: torch_mask(tensor, k)
    return tasks


def random_numbers():
    head("Generation, ns per element (2^16 elements)")
    n = 1 << 16
    words, weights, keys = np.empty(n, np.uint32), np.empty((1, n), np.float32), np.empty((1, n), np.int32)
    layer = (np.full((2, 1), stream(Purpose.WEIGHT, 0)), np.array([5]))
    scales, at = np.array([0.1]), np.array([0, n])
    index, scratch = np.empty(n, np.int32), np.empty(n, np.int32)
    rng = np.random.default_rng(3)

    def generate(law):
        sample32(1, 2, *layer, law, scales, at, weights, keys)

    def generate_and_select(alpha):
        k = int(n ** (1 - alpha))
        low, high = (np.int32(v) for v in bracket(n, k, TOP31))
        generate(0)
        select(keys[0], k, low, high, index, list_at_most(keys[0], high, index), scratch)

    seconds = interleaved(
        {
            "philox": lambda: fill_words(1, 2, layer[0][0, 0], 5, words),
            "uniform": lambda: generate(0),
            "gaussian": lambda: generate(1),
            "select .5": lambda: generate_and_select(0.5),
            "select .1": lambda: generate_and_select(0.1),
            "numpy uniform": lambda: rng.random(n, dtype=np.float32),
            "numpy gaussian": lambda: rng.standard_normal(n, dtype=np.float32),
        }
    )
    bars = {"philox": 0.8, "uniform": 1.2, "gaussian": 3.3, "select .5": 1.4, "select .1": 2.0}
    names = {"philox": "Philox4x32-10", "uniform": "uniform weights", "gaussian": "Gaussian weights"}
    for name, bar in bars.items():
        value = median(seconds, name) / n * 1e9
        label = names.get(name, f"generate uniform weights and {name[:6]}, alpha {name[7:]}")
        row(label, f"{value:.2f} ns", f"<= {bar} ns" + (" (stretch)" if name == "select .1" else ""), met=value <= bar)
    for law in ("uniform", "gaussian"):
        row(f"numpy {law} float32 / ours", f"{ratio(seconds, f'numpy {law}', law):.1f}", "", met=None)


def norms():
    head("Certified spectral norm (float64) against the singular values of LAPACK")
    rng = np.random.default_rng(4)
    for d in (64, 128, 256, 512):
        matrix = rng.uniform(-1, 1, (d, d))
        tasks = {"ours": lambda m=matrix: norm_upper(m), "svd": lambda m=matrix: np.linalg.svd(m, compute_uv=False)}
        seconds = interleaved(tasks, rounds=5, budget=5)
        excess = norm_upper(matrix) / np.linalg.svd(matrix, compute_uv=False)[0]
        times = f"{median(seconds, 'ours') * 1e3:.2f} ms, {ratio(seconds, 'svd', 'ours'):.1f}, {excess:.4f}"
        row(f"d = {d}: time, svd / ours, bound / norm", times, "bound / norm <= 1.003", met=excess <= 1.003)
