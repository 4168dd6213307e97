from contextlib import closing

import pytest

from simprune.schedulers import devices as places
from simprune.schedulers.devices import VISIBLE, device_of, devices


def test_the_variable_rules_over_the_driver(monkeypatch, tmp_path):
    for number in range(3):
        (tmp_path / f"0000:0{number}:00.0").mkdir()
    monkeypatch.setattr(places, "DRIVER", tmp_path)
    monkeypatch.delenv(VISIBLE, raising=False)
    assert devices() == ("0", "1", "2")
    monkeypatch.setenv(VISIBLE, "GPU-7, 2")
    assert devices() == ("GPU-7", "2")
    monkeypatch.setenv(VISIBLE, "")
    assert devices() == ()


def test_workers_take_devices_in_turn():
    seen = ("4", "5", "6")
    assert [device_of(i, seen)[VISIBLE] for i in range(5)] == ["4", "5", "6", "4", "5"]
    assert device_of("alone", seen) == {}


@pytest.mark.slow
def test_local_workers_see_one_device_each(monkeypatch):
    from distributed import Client, LocalCluster

    from simprune.schedulers.spawning import SpawnGuard, nanny_class

    monkeypatch.setenv(VISIBLE, "7,9")
    settings = {"host": "127.0.0.1", "dashboard_address": None, "worker_dashboard_address": None}
    with (
        closing(
            LocalCluster(n_workers=2, threads_per_worker=1, worker_class=nanny_class(SpawnGuard()), **settings)
        ) as cluster,
        Client(cluster) as client,
    ):
        found = client.run(_visible)
    assert sorted(found.values()) == ["7", "9"]


def _visible():
    import os

    return os.environ["CUDA_VISIBLE_DEVICES"]
