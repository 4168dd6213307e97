"""False alarms of the assumption tests on 200 i.i.d. layers of each law: within the exact binomial interval.

Every null here is exact and simulated with 99 replicates, so P(p <= 0.05) = 0.05. 31 two-sided binomial tests at 1e-6:
with another seed a correct program fails with probability 3e-5.
"""

import numpy as np
import pytest
from scipy import stats

from simprune.assumptions.exchange import KINDS
from simprune.assumptions.layer import as_layers
from simprune.assumptions.look import looked
from simprune.assumptions.replicates import judged

LAYERS = 200
SYMMETRIC = ("signs", *KINDS)
LAWS = {
    "uniform": (lambda rng, size: rng.uniform(-1.0, 1.0, size), ("uniform KS", "uniform AD", *SYMMETRIC)),
    "gaussian": (lambda rng, size: rng.standard_normal(size), ("gaussian KS", "gaussian AD", *SYMMETRIC)),
    "laplace": (lambda rng, size: rng.laplace(size=size), SYMMETRIC),
}


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_false_alarms_are_as_rare_as_promised(law):
    draw, silent = LAWS[law]
    alarms = dict.fromkeys(silent, 0)
    for i in range(LAYERS):
        (layer,) = as_layers({"W": draw(np.random.default_rng((31, i)), (20, 30))})
        look = looked(layer, (0.1, 0.3, 0.5), most=1 << 13, replicates=99, address=(5, i))
        tests = judged([look.replicates], error=0.05)[0]
        for kind in silent:
            alarms[kind] += tests[kind].p_value <= 0.05
    for kind, count in alarms.items():
        assert stats.binomtest(count, LAYERS, 0.05).pvalue > 1e-6, f"{kind}: {count} of {LAYERS}"
    assert sum(alarms.values()) > 0
