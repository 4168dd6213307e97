import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

from simprune.theory.wishart_moments import ORDERS, coefficient_table, log_falling_factorials, log_trace_moments

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "wishart_table.py"


@pytest.fixture(scope="module")
def exact():
    spec = importlib.util.spec_from_file_location("wishart_table", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.coefficients


def test_known_coefficients(exact):
    assert exact(1) == {(1, 1): 1}
    assert exact(2) == {(1, 1): 3, (2, 1): 1}
    assert {key: value for key, value in exact(3).items() if value} == {(1, 1): 15, (2, 1): 9, (2, 2): 3, (3, 1): 1}


@pytest.mark.parametrize("p", [1, 2, 3, 5, 8, 12])
def test_the_shipped_table_holds_the_exact_integers(exact, p):
    table = coefficient_table()
    first, stop = table.starts[p * (p - 1) // 2], table.starts[p * (p + 1) // 2]
    stored = {
        (i, j): log for i, j, log in zip(table.i[first:stop], table.j[first:stop], table.logs[first:stop], strict=True)
    }
    lower = {key: value for key, value in exact(p).items() if value}
    assert stored == {key: math.log(n) for (i, j), n in lower.items() for key in ((i, j), (j, i))}


def test_the_table_goes_to_64():
    table = coefficient_table()
    assert ORDERS == 64
    assert len(table.starts) == 64 * 65 // 2
    # every cell i + j - 1 = s of p = 64 holds s pairs, and N_p(1, 1) = (2 p - 1)!!
    assert np.diff(np.append(table.starts, len(table.logs)))[-64:].tolist() == list(range(1, 65))
    assert table.logs[table.starts[-64]] == pytest.approx(sum(math.log(k) for k in range(1, 128, 2)), rel=1e-15)


@pytest.mark.parametrize(("r", "n"), [(1, 1), (3, 5), (10, 7)])
def test_gaussian_trace_moments(r, n):
    first, second, third = np.exp(log_trace_moments(r, n, 1.0)[:3])
    assert first == pytest.approx(r * n)
    assert second == pytest.approx(r * n * (r + n + 1))
    assert third == pytest.approx(r * n * (r * r + n * n + 3 * r * n + 3 * r + 3 * n + 4))


def test_trace_moments_of_a_sampled_matrix():
    # 200 000 samples: the relative standard error of the mean is about 0.4 %, 5 sigma are allowed
    y = np.random.default_rng(1).standard_normal((200_000, 3, 5))
    s = y @ y.transpose(0, 2, 1)
    traces = np.trace(s @ s @ s @ s, axis1=1, axis2=2)
    error = traces.std() / math.sqrt(len(traces))
    assert abs(traces.mean() - math.exp(log_trace_moments(3, 5, 1.0)[3])) < 5 * error


def test_falling_factorials_of_huge_widths_keep_their_digits():
    logs = log_falling_factorials(10**12, 4)
    assert logs[3] == pytest.approx(math.log(10**12) + math.log(10**12 - 1) + math.log(10**12 - 2), rel=1e-15)
