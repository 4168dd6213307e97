import contextlib
import functools
import os
import socket
import subprocess
import sys
import time

import psutil
import pytest

from simprune.design.block import Block
from simprune.design.cluster import Cluster
from simprune.engine import StopRequest, run
from simprune.model.errors import InputError
from simprune.schedulers import pool
from simprune.schedulers.dask import MIN_WINDOW, DaskScheduler
from simprune.schedulers.errors import SchedulerLost
from simprune.schedulers.keys import make_keys
from simprune.schedulers.serial import SerialScheduler
from simprune.store.memory import MemoryStore
from tests.engine.hash_backend import HashBackend, design
from tests.engine.test_loop import assert_same_rows
from tests.schedulers.external import external_cluster
from tests.schedulers.waiting import wait_until, workers_of


@pytest.fixture(scope="module")
def two_workers():
    with contextlib.closing(DaskScheduler(workers=2, deadline=2.0)) as scheduler:
        yield scheduler


def blocks_of(study, size):
    for first in range(0, study.trials, size):
        yield Block(points=study.points()[:1], first=first, stop=min(first + size, study.trials))


def test_rows_are_those_of_a_serial_run(two_workers, tmp_path):
    study, store, diary = design(trials=120), MemoryStore(), tmp_path / "diary"
    report = run(study, backend=HashBackend(seconds_per_trial=0.002, diary=str(diary)), scheduler=two_workers, store=store)
    assert report.complete
    assert_same_rows(store, study)
    lines = [line.split() for line in diary.read_text().splitlines()]
    assert len({line[0] for line in lines}) == 2
    assert str(os.getpid()) not in {line[0] for line in lines}
    assert sum((int(stop) - int(first)) * int(n) for _, first, stop, n, _ in lines) == report.n_computed == 720


def test_blocks_are_pulled_only_as_room_comes(two_workers):
    pulled, taken = [], 0
    source = blocks_of(design(trials=40), 1)
    noted = (pulled.append(block) or block for block in source)
    for outcome in two_workers.map(HashBackend(seconds_per_trial=0.01).run, noted):
        taken += outcome is not None
        assert len(pulled) <= taken + MIN_WINDOW
    assert taken == len(pulled) == 40


def test_alone_means_one_at_a_time(two_workers):
    pulled, taken = [], 0
    noted = (pulled.append(block) or block for block in blocks_of(design(trials=6), 1))
    for outcome in two_workers.map(HashBackend().run, noted, alone=True):
        taken += outcome is not None
        assert len(pulled) <= taken + 1
    assert taken == 6


@pytest.mark.fault("D4")
def test_bad_trials_are_reported_the_rest_completes_and_the_pool_recovers(two_workers, tmp_path):
    study, store, diary = design(trials=60, widths=(4,), alphas=(0.5,)), MemoryStore(), tmp_path / "diary"
    backend = HashBackend(kills=(7,), raises=(20,), hangs=(41,), seconds_per_trial=0.005, diary=str(diary))
    report = run(study, backend=backend, scheduler=two_workers, store=store, block_trials=4)
    reasons = {f.trial: f.reason for f in report.failed}
    assert reasons == {
        7: "its worker process died (killed, out of memory, or crashed)",
        20: "ArithmeticError: trial 20 is bad",
        41: "it ran longer than the deadline of 2 s",
    }
    assert_same_rows(store, study, without=(7, 20, 41))
    assert wait_until(lambda: len(workers_of(os.getpid())) == 2, 60)
    again = run(study, backend=HashBackend(), scheduler=two_workers, store=store)
    assert again.complete
    assert_same_rows(store, study)


@pytest.mark.fault("D1")
def test_killed_workers_cost_nothing_but_time(two_workers):
    study, store = design(trials=150), MemoryStore()
    killed = []

    def kill(progress):
        workers = workers_of(os.getpid())
        if len(workers) == 2 and len(killed) < 3 and progress.done > 0:
            killed.append(workers[0].pid)
            workers[0].kill()

    report = run(
        study,
        backend=HashBackend(seconds_per_trial=0.01),
        scheduler=two_workers,
        store=store,
        progress=kill,
        block_trials=10,
    )
    assert len(killed) == 3
    assert (report.complete, report.failed) == (True, ())
    assert_same_rows(store, study)


def test_an_input_error_in_a_worker_keeps_its_words(two_workers):
    with pytest.raises(InputError, match=r"alpha must lie in \(0, 1\)"):
        list(two_workers.map(refuse, blocks_of(design(trials=1), 1)))


def refuse(block):
    raise InputError("alpha must lie in (0, 1), got 2")


def test_workers_have_one_thread_for_every_library_and_this_process_is_untouched(two_workers):
    found = [o.failure for o in two_workers.map(tell_environment, blocks_of(design(trials=1), 1)) if o is not None]
    assert found == ["LookupError: 1 1 1 1 True"]
    assert "NUMBA_NUM_THREADS" not in os.environ


def tell_environment(block):
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    ignored = __import__("signal").getsignal(2) is __import__("signal").SIG_IGN
    raise LookupError(" ".join(os.environ[name] for name in names) + f" {ignored}")


@pytest.mark.fault("X2")
def test_everything_listens_on_loopback_only(two_workers):
    assert run(design(trials=1), backend=HashBackend(), scheduler=two_workers, store=MemoryStore()).complete
    assert wait_until(lambda: len(workers_of(os.getpid())) == 2, 20)
    processes = [psutil.Process(), *workers_of(os.getpid())]
    listening = [c.laddr for p in processes for c in p.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert 8787 not in {address.port for address in listening}


def test_stopping_drops_running_blocks_quickly(two_workers):
    stop, begun = StopRequest(), time.monotonic()
    study, store = design(trials=100, widths=(4,)), MemoryStore()

    def watch(progress):
        if progress.done >= 3:
            stop.request()

    backend = HashBackend(seconds_per_trial=0.2)
    report = run(study, backend=backend, scheduler=two_workers, store=store, progress=watch, stop=stop, block_trials=4)
    assert report.stopped
    assert 0 < report.n_computed < 150
    assert time.monotonic() - begun < 10
    assert run(study, backend=HashBackend(), scheduler=two_workers, store=store).complete
    assert_same_rows(store, study)


def test_a_complete_run_starts_no_process():
    study, store = design(trials=5), MemoryStore()
    run(study, backend=HashBackend(), scheduler=SerialScheduler(), store=store)
    with contextlib.closing(DaskScheduler(workers=2)) as scheduler:
        before = len(workers_of(os.getpid()))
        assert run(study, backend=HashBackend(), scheduler=scheduler, store=store).n_computed == 0
        assert len(workers_of(os.getpid())) == before


def remote(address):
    return DaskScheduler(open_pool=functools.partial(pool.RemotePool, address, cluster=Cluster()))


def test_an_unreachable_scheduler_is_told_soon(monkeypatch):
    assert pool.CONNECT_SECONDS < 10
    monkeypatch.setattr(pool, "CONNECT_SECONDS", 2)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
    begun = time.monotonic()
    with (
        contextlib.closing(remote(address)) as scheduler,
        pytest.raises(InputError, match=f"a Dask scheduler with workers must answer at {address}") as told,
    ):
        run(design(trials=5), backend=HashBackend(), scheduler=scheduler, store=MemoryStore())
    assert time.monotonic() - begun < 5
    assert "\n" not in str(told.value)


def test_no_workers_are_refused():
    with pytest.raises(InputError, match="workers must be at least 1, got 0"):
        DaskScheduler(workers=0)


SCRIPT = """
from contextlib import closing
from simprune.engine import run
from simprune.schedulers.dask import DaskScheduler
from simprune.store.memory import MemoryStore
from tests.engine.hash_backend import HashBackend, design

print("begin", __file__, flush=True)
with closing(DaskScheduler(workers=2)) as scheduler:
    backend = HashBackend(kills=(3,), hangs=({hang},))
    report = run(design(trials=40, alphas=(0.5,), widths=(4,)), backend=backend, scheduler=scheduler, store=MemoryStore())
print("end", report.n_computed, len(report.failed), __file__, flush=True)
"""


def start(folder, *, hang=-1):
    """Run the script as a user would: a file, no guard for the main module."""
    script = folder / "study.py"
    script.write_text(SCRIPT.format(hang=hang))
    command = [sys.executable, "-W", "error", str(script)]
    environment = os.environ | {"PYTHONPATH": os.getcwd(), "TMPDIR": str(folder)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    )


def test_a_script_needs_no_main_guard_and_leaves_nothing_behind(tmp_path):
    out, _ = start(tmp_path).communicate(timeout=60)
    path = tmp_path / "study.py"
    assert out.splitlines() == [f"begin {path}", f"end 39 1 {path}"]
    assert [p.name for p in tmp_path.iterdir()] == ["study.py"]


@pytest.mark.fault("D2")
def test_workers_end_with_a_killed_driver(tmp_path):
    process = start(tmp_path, hang=0)
    assert wait_until(lambda: len(workers_of(process.pid)) == 2, 20)
    time.sleep(1.0)
    workers = workers_of(process.pid)
    process.kill()
    process.wait()
    process.stdout.close()
    assert wait_until(lambda: not any(w.is_running() and w.status() != psutil.STATUS_ZOMBIE for w in workers), 5)


@pytest.mark.slow
def test_an_encrypted_scheduler_needs_its_certificates(tmp_path):
    make_keys(tmp_path / "right")
    make_keys(tmp_path / "wrong")

    def remote_with(keys):
        certificate, key = str(tmp_path / keys / "certificate.pem"), str(tmp_path / keys / "key.pem")
        cluster = Cluster(ca_file=certificate, cert_file=certificate, key_file=key)
        return DaskScheduler(open_pool=functools.partial(pool.RemotePool, external.address, cluster=cluster))

    study, store = design(trials=20), MemoryStore()
    with external_cluster(tmp_path, keys=tmp_path / "right") as external:
        assert external.address.startswith("tls://127.0.0.1:")
        for keys in ("wrong", "none"):
            with contextlib.closing(remote_with(keys)) as scheduler, pytest.raises(InputError) as told:
                run(study, backend=HashBackend(), scheduler=scheduler, store=store)
            expected = {
                "wrong": "a Dask scheduler with workers must answer at tls",
                "none": "ca_file must be a readable file",
            }
            assert str(told.value).startswith(expected[keys])
        with contextlib.closing(remote_with("right")) as scheduler:
            assert run(study, backend=HashBackend(), scheduler=scheduler, store=store).complete
    assert_same_rows(store, study)


@pytest.mark.fault("D3")
def test_a_killed_scheduler_ends_the_run_in_one_sentence_and_the_next_run_completes(tmp_path, monkeypatch):
    study, store = design(trials=100), MemoryStore()
    with external_cluster(tmp_path) as external:
        with (
            monkeypatch.context() as patch,
            contextlib.closing(remote(external.address)) as scheduler,
        ):
            patch.setattr(pool, "version", lambda name: "0.0.1")
            with pytest.raises(InputError, match=r"must run simprune 0\.0\.1 as this process does, got 0\.\d"):
                run(study, backend=HashBackend(), scheduler=scheduler, store=store)

        def kill(progress):
            if progress.done > 100:
                external.scheduler.kill()

        backend = HashBackend(seconds_per_trial=0.02)
        with (
            contextlib.closing(remote(external.address)) as scheduler,
            pytest.raises(SchedulerLost, match="the Dask scheduler must answer until the end"),
        ):
            run(study, backend=backend, scheduler=scheduler, store=store, progress=kill, block_trials=10)
    report = run(study, backend=HashBackend(), scheduler=SerialScheduler(), store=store)
    assert report.n_before > 100
    assert report.complete
    assert_same_rows(store, study)
