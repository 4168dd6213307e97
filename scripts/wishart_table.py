"""Write simprune/theory/wishart_moments.npz: the coefficients N_p(i, j) of Lemma M* for p <= 64 (about two minutes).

E Tr (Y Y^T)^p = sum over i, j of N_p(i, j) (r)_i (r')_j for Y with r x r' independent N(0, 1) entries, (x)_i falling
factorials. The left side comes from the zonal expansion of the power sum; Newton differences give N_p. All are computed
as exact integers; that they are integers and non-negative is asserted. Their logarithms are stored for i >= j.
"""

import math
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

TARGET = Path(__file__).resolve().parents[1] / "simprune" / "theory" / "wishart_moments.npz"


def hook_product(partition):
    """Product of the hook lengths of the doubled partition."""
    rows = [2 * part for part in partition]
    columns = [sum(part > j for part in rows) for j in range(rows[0])]
    product = 1
    for i, part in enumerate(rows):
        for j in range(part):
            product *= (part - j - 1) + (columns[j] - i - 1) + 1
    return product


def partitions(p):
    """Partitions of p without a cell (3, 2): (a) and (a, b, 1, ..., 1)."""
    yield (p,)
    for a in range(1, p):
        for b in range(1, min(a, p - a) + 1):
            yield (a, b) + (1,) * (p - a - b)


def newton(values):
    """Forward differences at 0 of the values at 0, 1, ..."""
    out, current = [], list(values)
    while current:
        out.append(current[0])
        current = [b - a for a, b in pairwise(current)]
    return out


def coefficients(p):
    """Return {(i, j): N_p(i, j)} for i >= j as exact integers."""
    sums = {}
    for partition in partitions(p):
        contents = [2 * j - i for i, part in enumerate(partition) for j in range(part)]
        weight = Fraction(2 * p * math.prod(contents[1:]), hook_product(partition))
        if weight == 0:
            continue
        differences = newton([math.prod(x + c for c in contents) for x in range(p + 1)])
        for i in range(1, p + 1):
            for j in range(1, min(i, p + 1 - i) + 1):
                sums[i, j] = sums.get((i, j), 0) + weight * differences[i] * differences[j]
    table = {(i, j): value / (math.factorial(i) * math.factorial(j)) for (i, j), value in sums.items()}
    assert all(value.denominator == 1 and value >= 0 for value in table.values())
    return {key: int(value) for key, value in table.items()}


def main(highest):
    logs = np.full((highest + 1, highest + 1, highest + 1), -np.inf)
    for p in range(1, highest + 1):
        for (i, j), value in coefficients(p).items():
            if value:
                logs[p, i, j] = math.log(value)
    np.savez_compressed(TARGET, logs=logs)
    print(f"wrote {TARGET.name}: p <= {highest}, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 64)
