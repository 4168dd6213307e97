"""Streamed order statistics against np.sort: bit for bit, whatever the values and the chunks, in bounded memory."""

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simprune.analysis import cells
from simprune.analysis.keys import keys_of, values_of
from simprune.analysis.ordered import median
from simprune.analysis.streamed import Scan
from simprune.model.errors import InputError

N = 600_000
rng = np.random.default_rng(3)
SHUFFLED = rng.permutation(N)
ARRAYS = {
    "normal": rng.standard_normal(N),
    "zeros and a positive law": np.where(rng.random(N) < 0.3, 0.0, np.exp(rng.standard_normal(N))),
    "five ties": rng.integers(-2, 3, N).astype(np.float64),
    "one value": np.full(N, 2.5),
    "a pile within 1e-9": np.where(np.arange(N) < 150_000, 0.0, 1.0 + 1e-9 * rng.random(N)),
    "neighbours in the last bits": np.array(1.0).view(np.int64) + SHUFFLED,
    "denormals of both signs": 5e-324 * rng.integers(-50, 50, N),
    "zeros of both signs": np.where(rng.random(N) < 0.5, -0.0, 0.0),
    "infinities": np.select([SHUFFLED < 50_000, SHUFFLED > N - 90_000], [np.inf, -np.inf], rng.standard_normal(N)),
    "NaN of both signs": np.select([SHUFFLED < 70_000, SHUFFLED > N - 9], [np.nan, -np.nan], rng.standard_normal(N)),
    "rising": np.sort(rng.standard_normal(N)),
    "all magnitudes": np.exp(rng.uniform(-700.0, 700.0, N)) * rng.choice([-1.0, 1.0], N),
    "a first block unlike the rest": np.where(np.arange(N) < 200_000, 7.0, rng.exponential(size=N)),
}
ARRAYS["neighbours in the last bits"] = ARRAYS["neighbours in the last bits"].view(np.float64)


def scan_of(values: np.ndarray, step: int, passes: list[int] | None = None) -> Scan:
    def chunks(names: tuple[str, ...]) -> Iterator[dict[str, np.ndarray]]:
        assert names == ("x",)
        if passes is not None:
            passes.append(1)
        for first in range(0, len(values), step):
            yield {"x": values[first : first + step]}

    return Scan(("x",), chunks)


def sorted_plainly(values: np.ndarray) -> np.ndarray:
    """np.sort with 0.0 for -0.0, whose order among zeros np.sort leaves open, and one NaN."""
    ordered = np.sort(values + 0.0)
    return np.where(np.isnan(ordered), np.nan, ordered)


def agrees(values: np.ndarray, ranks: np.ndarray, probes: np.ndarray, *, step: int) -> int:
    ordered, passes = sorted_plainly(values), []
    scan = scan_of(values, step, passes)
    column = scan.columns["x"]

    def question() -> tuple[int, bytes, list[int], list[int]]:
        sides = [[column.searchsorted(probe, side=side) for probe in probes] for side in ("left", "right")]
        return (len(column), column[ranks].tobytes(), *sides)

    expected = [ordered.searchsorted(probes, side=side).tolist() for side in ("left", "right")]
    assert scan.ask(question) == (len(values), ordered[ranks].tobytes(), *expected)
    return len(passes)


@pytest.mark.fault("A1")
@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("step", [997, 70_000])
def test_ranks_and_counts_equal_those_of_a_sort(name: str, step: int) -> None:
    values = ARRAYS[name]
    if step == 997:
        values = values[:40_000]
    n = len(values)
    ranks = np.unique(np.r_[0, 1, n - 2, n - 1, np.arange(n // 2, n // 2 + 300), np.arange(19) * n // 19])
    probes = np.r_[-np.inf, -1.0, -0.0, 0.0, 0.3, 2.5, 1e300, np.inf, values[[0, 5, n // 2]]]
    assert agrees(values, ranks, probes, step=step) <= 7


def test_one_chunk_may_hold_everything() -> None:
    agrees(ARRAYS["infinities"], np.arange(0, N, 50_000), np.array([0.0]), step=N)


def test_twenty_levels_of_a_smooth_law_take_two_passes() -> None:
    values = np.exp(0.2 * ARRAYS["normal"])
    assert agrees(values, np.arange(20) * N // 20, np.array([0.9, 1.1]), step=50_000) == 2


def test_ties_take_one_pass() -> None:
    assert agrees(ARRAYS["one value"], np.array([0, N // 2, N - 1]), np.array([2.5]), step=50_000) == 1


@settings(max_examples=60, deadline=None)
@given(
    values=arrays(np.float64, st.integers(0, 60), elements=st.floats(width=64)),
    probes=st.lists(st.floats(allow_nan=False), max_size=5),
    step=st.integers(1, 70),
)
def test_any_doubles(values: np.ndarray, probes: list[float], step: int) -> None:
    agrees(values, np.arange(len(values)), np.array(probes, dtype=np.float64), step=step)


def test_small_rooms_only_cost_more_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ROOM": 400, "SMALL": 100, "BITS": 5, "FEWER_BITS": 3, "FEW": 2, "MOST_DIVIDED": 3}.items():
        monkeypatch.setattr(cells, name, value)
    for name in ("normal", "five ties", "infinities", "rising"):
        values = ARRAYS[name][:: N // 5000]
        assert agrees(values, np.arange(0, len(values), 37), np.array([0.0, 0.5]), step=999) >= 3


def test_what_was_not_asked_for_before_is_read_then() -> None:
    scan = scan_of(ARRAYS["normal"], 70_000)
    column, ordered = scan.columns["x"], np.sort(ARRAYS["normal"])
    assert scan.ask(lambda: column[-1]) == ordered[-1]
    assert scan.ask(lambda: column[17]) == ordered[17]
    with pytest.raises(IndexError):
        column[N]


def test_no_rows() -> None:
    scan = scan_of(np.empty(0), 5)
    assert scan.ask(lambda: (len(scan.columns["x"]), scan.columns["x"].searchsorted(0.0, side="right"))) == (0, 0)


def test_rows_that_come_or_go_between_passes_are_noticed() -> None:
    lengths = iter([N, N - 1000])
    scan = Scan(("x",), lambda names: iter([{"x": ARRAYS["normal"][: next(lengths)]}]))
    with pytest.raises(InputError, match="rows came or went"):
        scan.ask(lambda: scan.columns["x"][0])


def test_median_is_that_of_numpy() -> None:
    for n in (1, 2, 5, 8):
        values = np.sort(rng.standard_normal(n))
        assert median(values) == np.median(values)
    assert np.isnan(median(np.array([1.0, 2.0, np.nan])))
    assert median(np.array([np.inf, np.inf])) == np.inf


def test_keys_keep_the_order_and_come_back() -> None:
    values = np.concatenate([v[:500] for v in ARRAYS.values()])
    keys = keys_of(values)
    assert values_of(keys).tobytes() == np.where(np.isnan(values), np.nan, values + 0.0).tobytes()
    assert values_of(np.sort(keys)).tobytes() == sorted_plainly(values).tobytes()


MEMORY = """
import resource
import numpy as np
from simprune.analysis.quantiles import quantile
from simprune.analysis.streamed import Scan

def chunks(names):
    rng = np.random.default_rng(1)
    for _ in range(80):
        yield {"x": rng.random(250_000)}

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) >> 10

size = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")) << 10
resource.setrlimit(resource.RLIMIT_AS, (size + (120 << 20), size + (120 << 20)))
before, scan = peak(), Scan(("x",), chunks)
found = scan.ask(lambda: [quantile(scan.columns["x"], level) for level in np.linspace(0.01, 0.99, 20)])
assert all(abs(q.value - q.level) < 6e-4 for q in found)
print(peak() - before)
"""


@pytest.mark.fault("A1")
def test_memory_does_not_follow_the_rows() -> None:
    """160 MB of values in 20 levels: the process grows by less than 60 MiB, and is refused more than 120 MiB."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60
