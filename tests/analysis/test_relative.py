"""Relative gaps: which side of the truth each number stands on."""

import numpy as np
import pytest

from simprune.analysis.estimates import Refused
from simprune.analysis.relative import RelativeGap, certified_output_norm, relative_gap, relative_views
from simprune.analysis.rows import rows_of_table
from simprune.model.activations import CentredSigmoid, ReLU, Sigmoid, Tanh
from simprune.records import Status, TrialTable
from simprune.trained.network import TrainedNetwork
from tests.analysis.synthetic import make_point, make_table

LEVELS = (0.5,)


def relative(
    table: TrialTable, *, levels: tuple[float, ...], trained: TrainedNetwork | None = None
) -> RelativeGap | Refused:
    rows = rows_of_table(table, relative_views(table.point.network, trained))
    ratios = (rows[f"{side} ratio"] for side in ("attained", "lower", "upper"))
    return relative_gap(*ratios, levels=levels)


def changed(table: TrialTable, **columns: np.ndarray) -> TrialTable:
    return TrialTable(point=table.point, columns={**table.columns, **columns})


def test_without_offsets_the_bound_is_the_product_of_norms() -> None:
    network = make_point((4, 4, 4, 4), activation=CentredSigmoid()).network
    norms = np.array([[0.2, 0.3, 5.0], [0.1, 0.1, 0.1]])
    np.testing.assert_allclose(certified_output_norm(network, norms), norms.prod(axis=1) / 16.0, rtol=1e-9)


@pytest.mark.parametrize("activation", [ReLU(), Tanh(), Sigmoid()])
def test_no_input_exceeds_the_bound(activation: object) -> None:
    rng = np.random.default_rng(1)
    weights = tuple(rng.standard_normal(shape) for shape in ((5, 3), (4, 5), (2, 4)))
    biases = tuple(rng.standard_normal(len(w)) for w in weights)
    network = make_point((3, 5, 4, 2), activation=activation).network
    x = rng.standard_normal((3, 500))
    hidden = x / np.linalg.norm(x, axis=0)
    apply = np.vectorize(lambda z: activation.scalar(z, activation.parameter))
    for layer in range(3):
        hidden = weights[layer] @ hidden + biases[layer][:, None]
        hidden = apply(hidden) if layer < 2 else hidden
    norms = np.array([[np.linalg.norm(w, 2) for w in weights]])
    bound = certified_output_norm(network, norms, bias_norms=tuple(float(np.linalg.norm(b)) for b in biases))
    attained = np.linalg.norm(hidden, axis=0).max()
    assert attained <= bound[0] <= 40.0 * attained


def test_three_ratios_keep_their_order() -> None:
    found = relative(make_table(make_point((16, 16, 16)), 300), levels=LEVELS)
    assert isinstance(found, RelativeGap)
    assert isinstance(found.lower, tuple)
    assert isinstance(found.upper, tuple)
    assert found.lower[0].value < found.attained[0].value < found.upper[0].value


def test_uncertified_rows_are_left_out_of_the_bracket_only() -> None:
    found = relative(make_table(make_point((16, 16)), 300, certified=100), levels=LEVELS)
    assert isinstance(found, RelativeGap)
    assert isinstance(found.lower, tuple)
    assert isinstance(found.upper, tuple)
    assert (found.attained[0].n_rows, found.lower[0].n_rows, found.upper[0].n_rows) == (300, 100, 100)
    none = relative(make_table(make_point((16, 16)), 300, certified=0), levels=LEVELS)
    assert isinstance(none, RelativeGap)
    assert isinstance(none.lower, Refused)
    assert isinstance(none.upper, Refused)


def test_silent_targets_are_left_out() -> None:
    table = make_table(make_point((16, 16)), 10)
    norm = np.where(np.arange(10) < 4, 0.0, 1.0)
    found = relative(changed(table, output_norm=norm), levels=LEVELS)
    assert isinstance(found, RelativeGap)
    assert found.attained[0].n_rows == 6
    assert isinstance(relative(changed(table, output_norm=np.zeros(10)), levels=LEVELS), Refused)


def test_biases_of_a_trained_network_widen_the_bracket() -> None:
    table = make_table(make_point((2, 2)), 50)
    trained = TrainedNetwork(weights=(np.eye(2),), biases=(np.array([3.0, 4.0]),), origin="test")
    plain, biased = relative(table, levels=LEVELS), relative(table, levels=LEVELS, trained=trained)
    assert isinstance(plain, RelativeGap)
    assert isinstance(biased, RelativeGap)
    expected = np.sort(table["gap_lower"] / (table["target_norm"][:, 0] + 5.0))[24]
    assert biased.lower[0].value == pytest.approx(expected, rel=1e-9)
    assert biased.lower[0].value < plain.lower[0].value


def test_status_bit_decides_what_is_certified() -> None:
    table = make_table(make_point((16, 16)), 100)
    noisy = changed(table, status=np.full(100, int(Status.BELOW_NOISE)))
    found = relative(noisy, levels=LEVELS)
    assert isinstance(found, RelativeGap)
    assert isinstance(found.upper, tuple)
