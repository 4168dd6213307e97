"""Where workers run: checked, and no part of what is simulated."""

from pathlib import Path

import pytest

from simprune.design.cluster import Cluster
from simprune.design.file import parse_design
from simprune.model.errors import InputError

PLAIN = """
trials = 8
[[networks]]
widths = [3, 2]
[[rules]]
name = "magnitude"
alpha = 0.3
"""
TABLE = """
[cluster]
jobs = 4
queue = "long"
account = "theory"
walltime = "1-00:30:00"
memory = "1.5GB"
interface = "ib0"
prologue = ["module load python", "cd /scratch"]
directives = "--constraint=avx512"
ca_file = "keys/ca.pem"
cert_file = "keys/me.pem"
key_file = "/elsewhere/me.key"
"""


def parsed(text):
    return parse_design(text, path=Path("studies/d.toml"))


def test_the_table_changes_neither_points_nor_what_results_keep():
    plain, clustered = parsed(PLAIN), parsed(PLAIN + TABLE)
    assert clustered.fingerprint() == plain.fingerprint()
    assert clustered.points() == plain.points()
    assert clustered.text == plain.text
    assert plain.cluster == Cluster()


def test_every_key_arrives_and_certificates_lie_beside_the_design():
    assert parsed(PLAIN + TABLE).cluster == Cluster(
        jobs=4,
        queue="long",
        account="theory",
        walltime="1-00:30:00",
        memory="1.5GB",
        interface="ib0",
        prologue=("module load python", "cd /scratch"),
        directives=("--constraint=avx512",),
        ca_file="studies/keys/ca.pem",
        cert_file="studies/keys/me.pem",
        key_file="/elsewhere/me.key",
    )


@pytest.mark.parametrize(
    ("written", "seconds"), [("00:01:00", 60), ("4:00", 4 * 3600), ("48:00:00", 172800), ("2-00:00:00", 172800)]
)
def test_walltimes_are_written_as_slurm_does(written, seconds):
    assert Cluster(walltime=written).walltime_seconds == seconds


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("jobs = 0", "cluster: jobs must lie in 1..100000, got 0"),
        ("walltime = 'soon'", "cluster: walltime must be hours:minutes:seconds, got 'soon'"),
        ("walltime = '00:00:10'", "cluster: walltime must be at least a minute, got '00:00:10'"),
        ("memory = '4'", "cluster: memory must be a size with its unit, got '4'"),
        ("memory = '0GB'", "cluster: memory must be a size with its unit, got '0GB'"),
        ("queue = 'a b'", "cluster: queue must be a plain name, got 'a b'"),
        ('queue = "a\\nb"', r"cluster: queue must be one line of text, got 'a\nb'"),
        ('prologue = ["true", "a\\nb"]', r"cluster: prologue must be one line of text, got 'a\nb'"),
        ("directives = ''", "cluster: directives must be one line of text, got ''"),
        ("ca_file = 'x'", "cluster: ca_file, cert_file, key_file must be given together, got ca_file alone"),
        ("nodes = 3", "cluster.nodes: must be a known key, got 'nodes'"),
    ],
)
def test_mistakes_are_told(table, sentence):
    with pytest.raises(InputError) as told:
        parsed(f"{PLAIN}[cluster]\n{table}")
    assert sentence in str(told.value)
