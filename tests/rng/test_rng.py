"""Philox against published answers and other implementations; the address layout against its definition."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simprune.backends.reference_sampling import words
from simprune.rng import BLOCK, PLANE, Purpose, canonical_json, network_key, philox4x32, stream, word

VECTORS = Path(__file__).parent.parent / "vectors" / "philox4x32.txt"
KEY = (0x243F6A88, 0x85A308D3)
u32 = st.integers(0, 2**32 - 1)


def known_answers():
    lines = [line for line in VECTORS.read_text().splitlines() if not line.startswith("#")]
    return [tuple(int(part, 16) for part in line.split()) for line in lines]


@pytest.mark.parametrize("row", known_answers())
def test_philox_gives_the_published_words(row):
    assert philox4x32(row[:4], row[4:6]) == row[6:]


@given(counter=st.tuples(u32, u32, u32, u32), key=st.tuples(u32, u32))
@settings(max_examples=50, deadline=None)
def test_philox_agrees_with_randomgen(counter, key):
    randomgen = pytest.importorskip("randomgen")
    number = sum(part << 32 * i for i, part in enumerate(counter))
    # randomgen increments the counter before it draws, so it starts one below.
    generator = randomgen.Philox(counter=(number - 1) % 2**128, key=key[0] | key[1] << 32, number=4, width=32)
    assert philox4x32(counter, key) == tuple(int(w) for w in generator.random_raw(4))


@given(
    element=st.integers(0, 3 * BLOCK),
    layer=st.integers(0, 2**24 - 1),
    trial=st.integers(0, 2**63 - 1),
    purpose=st.sampled_from(Purpose),
)
@settings(max_examples=50, deadline=None)
def test_an_element_is_a_word_of_a_planar_block(element, layer, trial, purpose):
    block, plane, lane = element // 1024, element % 1024 // 256, element % 256
    counter = (256 * block + lane, purpose << 24 | layer, trial % 2**32, trial // 2**32)
    assert word(KEY, purpose, layer, trial, element) == philox4x32(counter, KEY)[plane]


def test_purposes_keep_their_numbers():
    numbers = {purpose.name: int(purpose) for purpose in Purpose}
    assert numbers == {"WEIGHT": 1, "WEIGHT_LOW": 2, "MASK": 3, "MASK_LOW": 4, "START": 5, "SAMPLE": 6}
    assert (BLOCK, PLANE) == (1024, 256)


def test_addresses_do_not_overlap():
    addresses = [
        (p, layer, trial, e) for p in Purpose for layer in (0, 1) for trial in (0, 1, 2**32) for e in (0, 1, 256, 1024)
    ]
    drawn = {word(KEY, *address) for address in addresses}
    assert len(drawn) == len(addresses)


@pytest.mark.parametrize("layer", [-1, 2**24])
def test_a_layer_outside_its_field_is_refused(layer):
    with pytest.raises(ValueError, match="layer must lie in"):
        stream(Purpose.WEIGHT, layer)


@pytest.mark.parametrize("count", [1, 256, 257, 1024, 1025, 2500])
@pytest.mark.parametrize("trial", [0, 2**32 + 5, 2**40 - 1])
def test_vectorised_words_are_the_scalar_ones(count, trial):
    drawn = words(KEY, Purpose.MASK, 3, trial=trial, count=count)
    assert drawn.shape == (count,)
    for element in {0, count // 2, count - 1}:
        assert int(drawn[element]) == word(KEY, Purpose.MASK, 3, trial, element)


def test_words_pass_a_chi_square_test_of_their_bytes():
    drawn = words(KEY, Purpose.WEIGHT, 0, trial=0, count=1 << 16).astype("<u4")
    counts = np.bincount(drawn.view(np.uint8), minlength=256)
    expected = 4 * (1 << 16) / 256
    # Chi-square with 255 degrees of freedom exceeds 380 with probability 5e-7; the key is fixed.
    assert np.sum((counts - expected) ** 2) / expected < 380


def test_the_key_depends_on_seed_and_network_only_and_is_frozen():
    network = {"widths": [4, 4], "b": 1}
    assert network_key(1, network) == network_key(1, {"b": 1, "widths": [4, 4]})
    assert len({network_key(seed, {"widths": [w]}) for seed in range(10) for w in range(10)}) == 100
    assert network_key(1, network) == (3101341261, 376798363)


def test_canonical_json_refuses_nan_and_sorts():
    assert canonical_json({"b": 1, "a": [1.5, None]}) == b'{"a":[1.5,null],"b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))
