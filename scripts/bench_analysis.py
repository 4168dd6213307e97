"""Exact quantiles of 10^8 rows on disk against np.partition of the same values in memory: whole processes, wall clock."""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
from bench_clock import PEAK, head, row
from scipy import special

from simprune.design.design import Design
from simprune.design.point import Point
from simprune.gap.ascent import Ascent
from simprune.gap.spectral import Spectral
from simprune.model.activations import ReLU
from simprune.model.distributions import Uniform
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import MagnitudePruning
from simprune.records import Status, column_shape, columns_of
from simprune.store import record
from simprune.store.packed import point_group
from simprune.store.segment import LIBVER, checksum, chunk_shape

ROWS = 100_000_000
LEVELS = tuple(np.linspace(0.001, 0.999, 20).tolist())
SPREAD = 0.2
STEP = 1 << 20

STREAMED = f"""
import json, sys, time
from simprune.analysis.quantiles import quantile
from simprune.analysis.rows import ask_rows
from simprune.analysis.views import LOWER
from simprune.store.results import open_results
started = time.perf_counter()
results = open_results(sys.argv[1])
levels = json.loads(sys.argv[2])
found = ask_rows(
    results, results.points[0], {{"lower": LOWER}}, lambda rows: [quantile(rows["lower"], p) for p in levels], tallied=False
)
seconds = time.perf_counter() - started
{PEAK}
print(json.dumps([seconds, peak, [q.value.hex() for q in found]]))
"""
PARTITION = f"""
import json, sys, time
import h5py, numpy as np
from simprune.analysis.quantiles import quantile_rank
from simprune.store.packed import point_group
from simprune.store.results import open_results
results, levels = open_results(sys.argv[1]), json.loads(sys.argv[2])
with h5py.File(sys.argv[1]) as file:
    values = file[point_group(results.digest(results.points[0]))]["gap_lower"][()]
ranks = [quantile_rank(len(values), level) - 1 for level in levels]
started = time.perf_counter()
ordered = np.partition(values, ranks)
seconds = time.perf_counter() - started
{PEAK}
print(json.dumps([seconds, peak, [float(ordered[rank]).hex() for rank in ranks]]))
"""
SUMMARY = f"""
import json, sys, time
from simprune.analysis import render, summarize
from simprune.store.results import open_results
started = time.perf_counter()
text = render(summarize(open_results(sys.argv[1]), epsilons=(0.9, 1.1)))
seconds = time.perf_counter() - started
{PEAK}
print(json.dumps([seconds, peak, []]))
"""


def quantiles():
    head(f"Exact quantiles of {ROWS:.0e} rows, 20 levels with intervals, from a packed file")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.h5"
        write_rows(path, ROWS)
        rounds = [[measured(code, path) for code in (STREAMED, PARTITION)] for _ in range(3)]
        whole = measured(SUMMARY, path)
    ours, theirs = rounds[-1]
    times = statistics.median(a[0] / b[0] for a, b in rounds)
    row("seconds: ours, np.partition", f"{ours[0]:.2f}, {theirs[0]:.2f}", "", met=None)
    row("ours with reading and checksums / np.partition in memory", f"{times:.2f}", "<= 1.5", met=times <= 1.5)
    peak = max(a[1] for a, _ in rounds)
    row("peak memory, MiB (np.partition)", f"{peak:.0f} ({theirs[1]:.0f})", "< 400", met=peak < 400)
    row("bits of all quantiles equal those of np.partition", str(ours[2] == theirs[2]), "True", met=ours[2] == theirs[2])
    worst = distance_from_law([float.fromhex(value) for value in ours[2]], ROWS)
    row("largest distance from the law, standard errors", f"{worst:.1f}", "< 4.5", met=worst < 4.5)
    row("whole analysis (six ordered columns): s, MiB", f"{whole[0]:.1f}, {whole[1]:.0f}", "< 400 MiB", met=whole[1] < 400)


def measured(code, path):
    command = [sys.executable, "-c", code, str(path), json.dumps(LEVELS)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def distance_from_law(values, n):
    levels = np.array(LEVELS)
    reached = special.ndtr(np.log(values) / SPREAD)
    return float(np.abs((reached - levels) / np.sqrt(levels * (1 - levels) / n)).max())


def write_rows(path, n):
    """A packed file whose attained gaps are lognormal; the other columns are constants that take no space."""
    network = NetworkSpec(widths=(64, 64), activation=ReLU(), target=SampledTarget(distribution=Uniform()))
    point = Point(network=network, rule=MagnitudePruning(alpha=0.3), estimators=(Ascent(), Spectral()), seed=1)
    design = Design(cells=(point,), trials=n, name="rows", text="")
    fill = {"gap_upper": 3.0, "status": int(Status(0)), "n_pruned": point.n_pruned[0]}
    with h5py.File(path, "x", libver=LIBVER) as file:
        run = record.record_of(design, provenance={})
        attributes = {"filetype": record.FILETYPE, "format_version": record.FORMAT_VERSION, "run": record.to_json(run)}
        for name, value in {**attributes, "failed": "[]"}.items():
            file.attrs[name] = value
        group = file.create_group(point_group(point.digest()))
        group.attrs["digest"], group.attrs["point"] = point.digest(), json.dumps(point.to_dict())
        for spec in columns_of(point):
            shape, size = column_shape(spec, point, n), np.dtype(spec.dtype).itemsize
            real = spec.name == "gap_lower"
            packed = {} if real else {"compression": "gzip", "compression_opts": 1, "shuffle": True}
            dataset = group.create_dataset(
                spec.name,
                shape,
                spec.dtype,
                chunks=chunk_shape(shape, size),
                fletcher32=True,
                fillvalue=fill.get(spec.name, 1),
                **packed,
            )
            dataset.attrs["crc32"] = written(dataset, spec.name, n)


def written(dataset, name, n):
    rng, crc = np.random.default_rng(1), 0
    constant = np.full((min(n, STEP), *dataset.shape[1:]), dataset.fillvalue, dtype=dataset.dtype)
    for first in range(0, n, STEP):
        rows = min(STEP, n - first)
        block = constant[:rows]
        if name == "gap_lower":
            block = np.exp(SPREAD * rng.standard_normal(rows))
        elif name == "trial":
            block = np.arange(first, first + rows)
        if name in ("gap_lower", "trial"):
            dataset[first : first + rows] = block
        crc = checksum(block, crc)
    return crc


if __name__ == "__main__":
    quantiles()
