import numpy as np
import pytest

from simprune.backends import philox
from simprune.backends.batch import mask_keys, sample32, sample64
from simprune.backends.compile import kernel
from simprune.backends.sampling import LAW_CODES
from simprune.model.distributions import DISTRIBUTIONS
from simprune.rng import Purpose, stream, word

fill_words = kernel(philox.fill_words.py_func)
KEY = (0x243F6A88, 0x85A308D3)
ELEMENTS = (0, 1, 255, 256, 1023, 1024, 2500, 3099)


@pytest.mark.parametrize("trial", [0, 7, (1 << 32) - 1, (5 << 32) + 7])
def test_words_are_those_of_the_definition(trial):
    words = np.empty(3100, np.uint32)
    fill_words(*KEY, stream(Purpose.MASK, 3), trial, words)
    assert [int(words[e]) for e in ELEMENTS] == [word(KEY, Purpose.MASK, 3, trial, e) for e in ELEMENTS]


def streams(*purposes):
    return np.array([[stream(purpose, layer) for layer in (0, 1)] for purpose in purposes])


def sampled(law, dtype):
    at, trials = np.array([0, 3100, 3133]), np.array([4, (1 << 33) + 1])
    weights = np.empty((2, 3133), dtype)
    keys = np.empty((2, 3133), np.int32 if dtype is np.float32 else np.int64)
    fill = sample32 if dtype is np.float32 else sample64
    both = streams(Purpose.WEIGHT, Purpose.WEIGHT_LOW)
    fill(*KEY, both, trials, LAW_CODES[law], np.array([0.25, 2.0]), at, weights, keys)
    return trials, weights, keys


@pytest.mark.parametrize("law", DISTRIBUTIONS, ids=lambda law: law.name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_follow_sign_key_and_law_of_their_words(law, dtype):
    trials, weights, keys = sampled(law, dtype)
    for t, trial in enumerate(trials.tolist()):
        for layer, scale, first, elements in ((0, 0.25, 0, ELEMENTS), (1, 2.0, 3100, (0, 31, 32))):
            for e in elements:
                high = word(KEY, Purpose.WEIGHT, layer, trial, e)
                key, bits = high & 0x7FFFFFFF, 31
                if dtype is np.float64:
                    key, bits = key << 22 | word(KEY, Purpose.WEIGHT_LOW, layer, trial, e) >> 10, 53
                magnitude = law.magnitude((key + 0.5) / 2**bits, (2**bits - key - 0.5) / 2**bits)
                expected = (-1 if high >> 31 else 1) * scale * magnitude
                tolerance = 1e-6 if dtype is np.float32 else 1e-14
                assert weights[t, first + e] == pytest.approx(expected, rel=tolerance)
                assert keys[t, first + e] == (key if law.is_continuous else 0)


@pytest.mark.parametrize(("dtype", "bits"), [(np.int32, 31), (np.int64, 53)])
def test_mask_keys_are_those_of_the_definition(dtype, bits):
    keys = np.empty((1, 3133), dtype)
    mask_keys(*KEY, streams(Purpose.MASK, Purpose.MASK_LOW), np.array([9]), np.array([0, 3100, 3133]), keys)
    for layer, first, elements in ((0, 0, ELEMENTS), (1, 3100, (0, 32))):
        for e in elements:
            key = word(KEY, Purpose.MASK, layer, 9, e) & 0x7FFFFFFF
            if bits == 53:
                key = key << 22 | word(KEY, Purpose.MASK_LOW, layer, 9, e) >> 10
            assert keys[0, first + e] == key


def test_gaussian_weights_keep_the_order_of_their_keys_up_to_rounding():
    _, weights, keys = sampled(DISTRIBUTIONS[1], np.float32)
    magnitudes = np.abs(weights[0, :3100])[np.argsort(keys[0, :3100], kind="stable")]
    assert np.all(np.diff(magnitudes) >= -1e-6 * magnitudes[1:])
