import io
import pickle
import zipfile

import numpy as np
import pytest

from simprune.model.errors import InputError
from simprune.trained.network import TrainedNetwork
from simprune.trained.npz import read_npz, write_npz


def arrays(seed=1, widths=(3, 5, 2), dtype=np.float32):
    rng = np.random.default_rng(seed)
    found = {}
    for i in range(len(widths) - 1):
        found[f"W{i}"] = rng.normal(size=(widths[i + 1], widths[i])).astype(dtype)
        found[f"b{i}"] = rng.normal(size=widths[i + 1]).astype(dtype)
    return found


def put(path, **entries):
    """Write raw .npy images."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(f"{name}.npy", data)
    return path


def npy(array, **options):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_file_of_numpy_is_read_bit_for_bit(tmp_path, dtype):
    written = arrays(dtype=dtype)
    np.savez_compressed(tmp_path / "n.npz", **written)
    network = read_npz(tmp_path / "n.npz")
    assert network.widths == (3, 5, 2)
    for i in range(2):
        assert network.weights[i].dtype == dtype
        assert network.weights[i].tobytes() == written[f"W{i}"].tobytes()
        assert network.biases[i].tobytes() == written[f"b{i}"].tobytes()


def test_fortran_order_and_big_endian_are_read_by_value(tmp_path):
    weight = np.arange(6.0).reshape(2, 3)
    np.savez(tmp_path / "n.npz", W0=np.asfortranarray(weight).astype(">f8"))
    network = read_npz(tmp_path / "n.npz")
    np.testing.assert_array_equal(network.weights[0], weight)
    assert network.weights[0].dtype == np.dtype("=f8")
    np.testing.assert_array_equal(network.biases[0], [0.0, 0.0])


def test_write_then_read_gives_the_same_network_and_the_same_bytes(tmp_path):
    np.savez(tmp_path / "a.npz", **arrays())
    network = read_npz(tmp_path / "a.npz")
    write_npz(tmp_path / "b.npz", network)
    write_npz(tmp_path / "c.npz", read_npz(tmp_path / "b.npz"))
    assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "c.npz").read_bytes()
    assert read_npz(tmp_path / "b.npz").sha256 == network.sha256
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz", "c.npz"]


def test_a_failed_write_leaves_nothing(tmp_path):
    network = TrainedNetwork(weights=(np.ones((1, 1)),), biases=(np.zeros(1),), origin="test")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_npz(tmp_path / "taken", network)
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"W1": None}, "got none named W1"),
        ({"W0": None}, "got none named W0"),
        ({"W2": np.ones((2, 2), np.float32), "W1": None}, "got none named W1"),
        ({"b5": np.ones(2, np.float32)}, "got none named W2, W3, W4, W5"),
        ({"weights": np.ones(2)}, "got 'weights'"),
        ({"W0": np.ones((5, 3), np.float16)}, "W0 of .* must be float32 or float64, got float16"),
        ({"W0": np.ones((5, 3), np.int64)}, "must be float32 or float64, got int64"),
        ({"W0": np.ones((5, 3), np.complex64)}, "must be float32 or float64, got complex64"),
        ({"W0": np.full((5, 3), np.nan, np.float32)}, "W0 of .* must be finite, got 15 NaN or infinite"),
        ({"b1": np.array([1.0, np.inf], np.float32)}, "b1 of .* must be finite, got 1 NaN or infinite"),
        ({"W1": np.ones((2, 4), np.float32)}, "W1 of .* must have 5 columns"),
        ({"b0": np.ones(4, np.float32)}, "b0 of .* must have shape"),
        ({"W0": np.float64(1.0)}, "W0 of .* must be a matrix"),
        ({"W0": np.ones((0, 3), np.float32)}, "W0 of .* must be a matrix"),
    ],
)
def test_a_wrong_array_is_named(tmp_path, changes, sentence):
    written = {key: value for key, value in (arrays() | changes).items() if value is not None}
    np.savez(tmp_path / "n.npz", **written)
    with pytest.raises(InputError, match=sentence):
        read_npz(tmp_path / "n.npz")


def test_pickled_objects_are_refused_and_never_loaded(tmp_path):
    class Touch:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    header = npy(np.array([None]), allow_pickle=True)
    start = header.index(b"\n") + 1
    path = put(tmp_path / "n.npz", W0=header[:start] + pickle.dumps(Touch()))
    with pytest.raises(InputError, match=r"W0 of .* must hold plain numbers, got pickled objects, which are never read"):
        read_npz(path)
    assert not (tmp_path / "touched").exists()


def test_a_header_that_promises_more_than_is_there_allocates_nothing(tmp_path):
    header = npy(np.zeros((2, 2)))
    lying = header.replace(b"(2, 2), }            ", b"(9999999, 9999999), }")
    assert lying != header
    with pytest.raises(InputError, match=r"must hold the 99999980000001 numbers that its shape .* got 4"):
        read_npz(put(tmp_path / "n.npz", W0=lying))


def test_a_size_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = put(tmp_path / "n.npz", W0=npy(np.zeros((4096, 1024))))
    assert path.stat().st_size < 1 << 17
    with pytest.raises(InputError, match="must unpack to at most 200 times its size"):
        read_npz(path)


def test_a_claimed_size_over_the_limit_is_refused(tmp_path):
    path = put(tmp_path / "n.npz", W0=npy(np.ones((2, 2))))
    raw = bytearray(path.read_bytes())
    at = raw.rindex(b"PK\x01\x02") + 24
    raw[at : at + 4] = (0xF0000000).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(InputError, match="must unpack to at most 2048 MiB, got 3840 MiB"):
        read_npz(path)


def test_truncated_and_flipped_files_are_refused(tmp_path):
    np.savez(tmp_path / "n.npz", **arrays())
    raw = (tmp_path / "n.npz").read_bytes()
    reference = read_npz(tmp_path / "n.npz").sha256
    bad = tmp_path / "bad.npz"
    for length in range(0, len(raw), 37):
        bad.write_bytes(raw[:length])
        with pytest.raises(InputError, match=r"bad\.npz"):
            read_npz(bad)
    rng = np.random.default_rng(3)
    refused = 0
    for bit in rng.choice(8 * len(raw), size=300, replace=False):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << (bit % 8)
        bad.write_bytes(flipped)
        try:
            assert read_npz(bad).sha256 == reference
        except InputError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(("name", "sentence"), [("none.npz", "must exist"), (".", "got the folder")])
def test_a_missing_file_and_a_folder_are_named(tmp_path, name, sentence):
    with pytest.raises(InputError, match=sentence):
        read_npz(tmp_path / name)


def test_a_plain_npy_and_a_text_file_are_refused(tmp_path):
    (tmp_path / "n.npz").write_bytes(npy(np.ones(3)))
    with pytest.raises(InputError, match="cannot be read"):
        read_npz(tmp_path / "n.npz")
    put(tmp_path / "t.npz", W0=b"hello")
    with pytest.raises(InputError, match="cannot be read"):
        read_npz(tmp_path / "t.npz")
