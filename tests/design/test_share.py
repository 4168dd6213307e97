"""Shares: fixed, disjoint, complete, and no part of a design's identity."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simprune.design.file import parse_design
from simprune.design.share import Share
from simprune.model.errors import InputError
from tests.design.test_cluster import PLAIN, parsed


@given(trials=st.integers(1, 1 << 40), count=st.integers(1, 50))
def test_shares_divide_the_trials_evenly(trials, count):
    ranges = [Share(index=i, count=count).of(trials) for i in range(1, count + 1)]
    assert [first for first, _ in ranges] == [0, *(stop for _, stop in ranges[:-1])]
    assert ranges[-1][1] == trials
    lengths = {stop - first for first, stop in ranges}
    assert max(lengths) - min(lengths) <= 1


def test_a_share_is_of_the_same_design():
    design = parsed(PLAIN)
    share = design.shared("2/3")
    assert share.wanted == (2, 5)
    assert (design.wanted, str(share.share)) == ((0, 8), "2/3")
    assert share.fingerprint() == design.fingerprint()


@pytest.mark.parametrize("text", ["", "1", "1/0", "0/2", "3/2", "-1/2", "1/2/3", "a/b", "1/1000000"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(InputError, match="a share must be"):
        Share.parse(text)


def test_a_share_of_an_adaptive_design_is_refused():
    text = PLAIN + "[stopping]\nquantity = 'mean'\nwidth = 0.1\n"
    with pytest.raises(InputError, match=r"a share must be of a design without \[stopping\], got share 1/2"):
        parse_design(text, path=Path("d.toml")).shared("1/2")
