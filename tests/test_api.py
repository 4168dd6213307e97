"""The Python interface on a tiny study."""

import logging
import subprocess
import sys

import numpy as np
import pytest

import simprune
from simprune.design.design import Design
from simprune.gap.ascent import Ascent
from simprune.model.activations import ReLU
from simprune.model.distributions import Uniform
from simprune.model.errors import InputError
from simprune.model.network import FixedTarget, NetworkSpec, SampledTarget
from simprune.model.pruning import MagnitudePruning, RandomPruning


def point_of(widths=(5, 4, 3), rule=None, target=None):
    network = NetworkSpec(widths=widths, activation=ReLU(), target=target or SampledTarget(distribution=Uniform()))
    rule = rule or MagnitudePruning(pruned_fraction=0.5)
    return simprune.Point(network=network, rule=rule, estimators=(Ascent(restarts=2, steps=3),), seed=5)


def run(design, folder, **options):
    return simprune.run(design, folder, backend="reference", scheduler="serial", **options)


def test_a_design_runs_into_a_folder_and_its_columns_are_arrays(tmp_path):
    point = point_of()
    seen = []
    report = run(Design(cells=(point,), trials=7), tmp_path / "r", progress=seen.append)
    assert report.complete
    assert report.n_computed == 7
    assert seen[-1].finished
    results = simprune.open_results(tmp_path / "r")
    assert results.points == (point,)
    table = results.table(point)
    assert table["trial"].tolist() == list(range(7))
    assert (table["gap_lower"] > 0).all()
    assert results.provenance["backend"] == "reference"
    assert run(Design(cells=(point,), trials=7), tmp_path / "r").n_computed == 0


def test_a_path_runs_like_its_design(tmp_path):
    (tmp_path / "d.toml").write_text("trials=2\n[[networks]]\nwidths=[3,2]\n[[rules]]\nname='random'\nalpha=0.5\n")
    assert run(tmp_path / "d.toml", tmp_path / "r").n_computed == 2
    assert run(str(tmp_path / "d.toml"), str(tmp_path / "r")).n_computed == 0


def test_a_stop_is_heeded(tmp_path):
    stop = simprune.StopRequest()
    stop.request()
    report = run(Design(cells=(point_of(),), trials=5), tmp_path / "r", stop=stop)
    assert report.stopped
    assert report.n_computed == 0


def test_a_damaged_part_is_noticed(tmp_path, caplog):
    design = Design(cells=(point_of(),), trials=3)
    run(design, tmp_path / "r")
    (segment,) = (tmp_path / "r" / "segments").iterdir()
    segment.write_bytes(b"")
    with caplog.at_level(logging.WARNING, logger="simprune"):
        assert run(design, tmp_path / "r").n_computed == 3
    assert segment.name in caplog.text


def test_a_trial_is_rebuilt_from_its_address():
    point = point_of()
    trial = simprune.rebuild(point, 3, backend="reference")
    again = simprune.rebuild(point, 3, backend="reference")
    assert [w.shape for w in trial.target] == [(4, 5), (3, 4)]
    for i, (weight, pruned, mask) in enumerate(zip(trial.target, trial.pruned, trial.masks, strict=True)):
        assert weight.tobytes() == again.target[i].tobytes()
        assert (~mask).sum() == point.n_pruned[i]
        np.testing.assert_array_equal(pruned, np.where(mask, weight, 0))
        assert np.abs(weight[~mask]).max() <= np.abs(weight[mask]).min()
    assert simprune.rebuild(point, 4, backend="reference").target[0].tobytes() != trial.target[0].tobytes()


def test_a_trained_network_must_be_the_one_of_the_point(tmp_path):
    rng = np.random.default_rng(2)
    np.savez(tmp_path / "n.npz", W0=rng.normal(size=(4, 3)), b0=rng.normal(size=4), W1=rng.normal(size=(2, 4)))
    network = simprune.read_npz(tmp_path / "n.npz")
    point = point_of(network.widths, RandomPruning(pruned_fraction=0.5), FixedTarget(sha256=network.sha256))
    trial = simprune.rebuild(point, 0, trained=network, backend="reference")
    np.testing.assert_allclose(trial.target[0], network.weights[0], rtol=1e-6)
    np.testing.assert_allclose(trial.biases[0], network.biases[0], rtol=1e-6)
    other = simprune.TrainedNetwork(weights=(np.ones((1, 1)),), biases=(np.zeros(1),), origin="other")
    for wrong in (None, other):
        with pytest.raises(InputError, match="trained must be network"):
            simprune.rebuild(point, 0, trained=wrong, backend="reference")


@pytest.mark.parametrize(("trial", "backend", "sentence"), [(-1, "cpu", "trial must lie"), (0, "cqu", "'cpu'")])
def test_a_bad_address_is_refused(trial, backend, sentence):
    with pytest.raises(InputError, match=sentence):
        simprune.rebuild(point_of(), trial, backend=backend)


def test_the_mask_keeps_the_larger_weights():
    array = np.array([[0.5, -0.1, 0.1], [0.2, -3.0, 0.1]], dtype=np.float32)
    np.testing.assert_array_equal(simprune.magnitude_mask(array, 2), [[True, False, False], [True, True, True]])


@pytest.mark.slow
def test_a_script_without_a_main_guard_runs_on_worker_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import simprune\n"
        "report = simprune.run('d.toml', 'r', backend='reference', scheduler='local', workers=2)\n"
        "print('computed', report.n_computed)\n"
    )
    (tmp_path / "d.toml").write_text("trials=20\n[[networks]]\nwidths=[3,2]\n[[rules]]\nname='random'\nalpha=0.5\n")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["computed 20"]
