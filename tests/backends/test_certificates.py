import numpy as np
import pytest

from simprune.backends import certificates
from simprune.backends.compile import kernel

norm_upper = kernel(certificates.norm_upper.py_func)


def true_norm(a):
    return np.linalg.svd(a, compute_uv=False)[0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 5), (16, 16), (17, 40), (64, 64), (130, 70)])
@pytest.mark.parametrize("law", ["uniform", "sparse", "heavy", "rank one", "equal values"])
def test_certificates_lie_just_above_the_norm(shape, law):
    rng = np.random.default_rng(shape[0])
    for _ in range(5):
        a = {
            "uniform": lambda: rng.uniform(-1, 1, shape),
            "sparse": lambda: rng.standard_normal(shape) * (rng.random(shape) < 0.1),
            "heavy": lambda: rng.standard_cauchy(shape),
            "rank one": lambda: np.outer(rng.standard_normal(shape[0]), rng.standard_normal(shape[1])),
            "equal values": lambda: np.eye(*shape) * 3.0,
        }[law]()
        upper, norm = norm_upper(a), true_norm(a)
        assert norm * (1 - 1e-13) <= upper <= norm * 1.004


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_certificates_scale(scale):
    a = np.random.default_rng(1).standard_normal((20, 20))
    assert norm_upper(a * scale) / scale == pytest.approx(norm_upper(a), rel=1e-3)
    assert norm_upper(a * scale) >= true_norm(a) * scale * (1 - 1e-13)


def test_zero_matrices_have_norm_exactly_zero():
    assert norm_upper(np.zeros((4, 7))) == 0.0


def test_a_bad_guess_is_raised_until_it_is_proved():
    # two nearly equal top singular values, the larger one almost orthogonal to every Krylov vector of few steps
    d = np.concatenate([[1.0], np.full(199, 0.999)])
    assert norm_upper(np.diag(d)) >= 1.0
