"""The second process that compiles the largest kernels of a first run."""

import fcntl
import json
import os
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from simprune.backends import batch, certificates, helped, helper
from simprune.backends.compile import CACHE
from simprune.backends.cpu import CpuBackend
from simprune.backends.helper import Helper
from simprune.gap.sampled import Sampled
from simprune.model.activations import ReLU, Tanh
from simprune.model.pruning import MagnitudePruning, RandomPruning
from tests.conformance.cases import columns, point, trained_network
from tests.schedulers.waiting import wait_until

SAYS_ONE = [sys.executable, "-c", "print('first', flush=True)"]
NAMES = ["first", "second"]

JOB = """
import json, sys
from simprune.backends import batch, certificates
from simprune.backends.cpu import CpuBackend
from simprune.backends.helper import HELPER
from tests.conformance.cases import columns, point

table = columns(CpuBackend(), point((6, 9, 4)), stop=2)[0]
kernels = (batch.output_gradient_all, batch.move_all, batch.gap_and_gradient_all, certificates.layer_norms)
stats = [kernel.stats for kernel in kernels]
print(json.dumps({
    "compiled": sum(sum(s.cache_misses.values()) for s in stats),
    "loaded": sum(sum(s.cache_hits.values()) for s in stats),
    "ended": HELPER.process is None,
    "columns": {name: column.tobytes().hex() for name, column in table.items()},
}))
"""


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_a_first_run_finds_the_large_kernels_compiled_and_gives_the_same_bits(tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", JOB], env=environment, capture_output=True, text=True, check=True)
    told = json.loads(ran.stdout)
    assert ran.stderr == ""
    assert (told["compiled"], told["loaded"], told["ended"]) == (0, 4, True)
    table = columns(CpuBackend(), point((6, 9, 4)), stop=2)[0]
    assert told["columns"] == {name: column.tobytes().hex() for name, column in table.items()}


KILLED = """
import time
from simprune.backends.helper import HELPER
from tests.conformance.cases import point

HELPER.start(point((6, 9, 4)))
print(HELPER.process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_it_ends_with_the_process_that_started_it(tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", KILLED], env=environment, stdout=subprocess.PIPE) as first:
        second = psutil.Process(int(first.stdout.readline()))
        assert wait_until(lambda: list(tmp_path.rglob("helper.lock")), 60)
        first.kill()
        assert wait_until(lambda: not second.is_running() or second.status() == psutil.STATUS_ZOMBIE, 60)
    assert not list(tmp_path.rglob("*.nbc"))


@pytest.mark.parametrize(
    ("precision", "kind", "activation"),
    [
        ("float32", "piecewise", ReLU()),
        pytest.param("float64", "piecewise", ReLU(), marks=pytest.mark.slow),
        pytest.param("float32", "smooth", Tanh(), marks=pytest.mark.slow),
        pytest.param("float64", "smooth", Tanh(), marks=pytest.mark.slow),
    ],
)
def test_it_compiles_what_trials_call(precision, kind, activation):
    kernels = (batch.output_gradient_all, batch.move_all, batch.gap_and_gradient_all, certificates.layer_norms)
    widths = (3, 4, 2)
    options = {"activation": activation, "precision": precision}
    columns(CpuBackend(), point(widths, **options), stop=1)
    two = [point((3, 40, 40), rule=MagnitudePruning(pruned_fraction=f), **options) for f in (0.05, 0.1)]
    columns(CpuBackend(), *two, stop=1)
    trained = trained_network(widths)
    columns(CpuBackend(), point(widths, rule=RandomPruning(alpha=0.3), trained=trained, **options), stop=1, trained=trained)
    before = [kernel.signatures.copy() for kernel in kernels]
    ops = helped.BlankOps(precision, kind)
    ops.run("output_gradient")
    ops.run("step")
    norms, gradient = ops.run("gap_and_gradient")
    assert not norms.any()
    assert np.isfinite(gradient).all()
    assert not ops.run("layer_norms").delta.any()
    assert [kernel.signatures for kernel in kernels] == before


def test_what_the_process_did_not_do_is_not_waited_for():
    second = Helper()
    second.begin(SAYS_ONE, NAMES)
    process = second.process
    second.wait("first")
    second.wait("second")
    assert process.returncode is not None
    assert second.process is None
    second.wait("first")


def test_a_process_that_cannot_start_does_no_harm():
    second = Helper()
    second.begin(["/nonexistent/python"], NAMES)
    second.wait("first")
    assert second.process is None


def test_a_process_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(helper, "PATIENCE", 0.2)
    second = Helper()
    second.begin([sys.executable, "-c", "import time; time.sleep(600)"], NAMES)
    process, started = second.process, time.monotonic()
    second.wait("second")
    assert time.monotonic() - started < 60
    assert process.returncode is not None
    assert second.process is None


def test_one_process_at_a_time_for_one_cache(capfd):
    with open(CACHE / "helper.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        helped.compile_operations("float32", "piecewise", ["gap_and_gradient"])
    assert capfd.readouterr().out == ""
    helped.compile_operations("float32", "piecewise", ["gap_and_gradient", "layer_norms"])
    assert capfd.readouterr().out == "gap_and_gradient\nlayer_norms\n"


@pytest.mark.parametrize(
    ("cold", "processors", "estimators", "expected"),
    [
        (True, {0, 1}, None, ["output_gradient", "step", "gap_and_gradient", "layer_norms"]),
        (False, {0, 1}, None, None),
        (True, {0}, None, None),
        (True, {0, 1}, (Sampled(samples=2),), None),
    ],
    ids=["cold", "warm", "one processor", "nothing large"],
)
def test_when_it_is_started(monkeypatch, cold, processors, estimators, expected):
    monkeypatch.setattr(helper, "is_warm", lambda: not cold)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: processors)
    second, begun = Helper(), []
    monkeypatch.setattr(second, "begin", lambda command, names: begun.append(names))
    given = {} if estimators is None else {"estimators": estimators}
    second.start(point((2, 2), **given))
    second.start(point((2, 2)))
    assert begun == ([] if expected is None else [expected])
