"""Names of places: one option each, and safe by default."""

import pytest

from simprune.design.cluster import Cluster
from simprune.model.errors import InputError
from simprune.schedulers.dask import DaskScheduler
from simprune.schedulers.place import Place
from simprune.schedulers.serial import SerialScheduler


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786", "tls://192.0.2.1:8786", "tcp://127.9.9.9:1"],
)
def test_this_machine_and_encrypted_ones_are_allowed(address):
    assert Place(scheduler=address).n_parallel == 1


@pytest.mark.parametrize(
    "address", ["tcp://192.0.2.1:8786", "tcp://0.0.0.0:8786", "tcp://[2001:db8::1]:8786", "tcp://no.invalid:1"]
)
def test_other_machines_need_tls_or_a_word(address):
    with pytest.raises(InputError, match=r"must be reached by tls://, got tcp://.*--insecure-network") as told:
        Place(scheduler=address)
    assert "\n" not in str(told.value)
    assert Place(scheduler=address, insecure_network=True).scheduler == address


def test_names_open_their_schedulers(tmp_path):
    assert isinstance(Place(scheduler="serial").open(tmp_path), SerialScheduler)
    for name in ("local", "slurm", "tcp://127.0.0.1:1"):
        opened = Place(scheduler=name).open(tmp_path)
        assert isinstance(opened, DaskScheduler)
        opened.close()


def test_how_many_blocks_run_at_a_time():
    assert Place(workers=3).n_parallel == 3
    assert Place(scheduler="slurm", cluster=Cluster(jobs=7)).n_parallel == 7
    assert Place(scheduler="slurm", workers=2, cluster=Cluster(jobs=7)).n_parallel == 2
