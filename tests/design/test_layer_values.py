"""Networks with layers in design files: what is read, what is written back, and every mistake at once."""

import pytest

from simprune.design.file import parse_design
from simprune.model.activations import ReLU, Tanh
from simprune.model.errors import InputError
from simprune.model.layers import AveragePool, Conv2d, Dense, Flatten, GlobalMaxPool, MaxPool
from simprune.trained.npz import write_npz
from tests.conformance.cases import trained_cnn

TEXT = """
trials = 3
[[networks]]
input = [2, 8, 8]
width = [1, 3]
layers = [
    {conv = 4, kernel = 3, padding = "same"},
    {average_pool = [2, 1]},
    {conv = 6, kernel = [3, 1], stride = 2, padding = [1, 0], circular = true, groups = 2},
    {max_pool = 2, stride = 1},
    {global_max_pool = true},
    {flatten = true},
    {dense = 5},
]
[[rules]]
name = "magnitude"
alpha = 0.3
"""


def parsed(tmp_path, text=TEXT):
    return parse_design(text, path=tmp_path / "d.toml")


def test_layers_are_read_and_widened(tmp_path):
    narrow, wide = (point.network for point in parsed(tmp_path).points())
    assert narrow.chain.layers == (
        Conv2d(channels=4, kernel=(3, 3), padding=(1, 1)),
        AveragePool(kernel=(2, 1), stride=(2, 1)),
        Conv2d(channels=6, kernel=(3, 1), stride=(2, 2), padding=(1, 0), circular=True, groups=2),
        MaxPool(kernel=(2, 2), stride=(1, 1)),
        GlobalMaxPool(),
        Flatten(),
        Dense(width=5),
    )
    assert wide.weight_shapes == ((12, 2, 3, 3), (18, 6, 3, 1), (5, 18))
    assert wide.activation == ReLU()


def test_the_resolved_text_gives_the_same_points(tmp_path):
    design = parsed(tmp_path)
    again = parsed(tmp_path, design.text)
    assert again.points() == design.points()
    assert again.text == design.text


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("kernel = 3,", "", "networks[0].layers[0]: a convolution must have a kernel"),
        ("kernel = 3,", "kernel = 4,", 'networks[0].layers[0]: padding = "same" must have an odd kernel, got [4, 4]'),
        ("{flatten = true}", "{flatten = 1}", "networks[0].layers[5]: flatten must be true, got 1"),
        ("{dense = 5}", "{dens = 5}", "networks[0].layers[6]: a layer must be one of conv, dense"),
        ("{dense = 5}", "7", "networks[0].layers[6]: a layer must be a table, got 7"),
        ("{dense = 5}", "{dense = 5, conv = 3}", "got dense and conv"),
        ("{dense = 5}", "{dense = 5, with = 3}", "must have known keys, got 'with'"),
        ("stride = 2", "strid = 2", "got 'strid'; did you mean 'stride'?"),
        ("{flatten = true},", "", "networks[0]: layers[5] on [6, 1, 1]: a dense layer must have a vector"),
        ("input = [2, 8, 8]", "", "networks[0]: a network with layers must have input and layers, got layers alone"),
        ("input = [2, 8, 8]", "input = [2, 8]", "networks[0].input: input must be [n] or [channels, height, width]"),
        ("width = [1, 3]", "depth = 2", "networks[0]: a network with layers must have no depth"),
        ("groups = 2", "groups = 4", "networks[0].layers[2]: channels must be a multiple of groups, got 6 and 4"),
        ("max_pool = 2", "max_pool = 1.5", "networks[0].layers[3]: max_pool must be a whole number"),
    ],
)
def test_mistakes_are_told_with_their_paths(tmp_path, old, new, sentence):
    assert old in TEXT
    with pytest.raises(InputError) as told:
        parsed(tmp_path, TEXT.replace(old, new))
    assert sentence in str(told.value)


def test_all_mistakes_are_told_at_once(tmp_path):
    text = TEXT.replace("kernel = 3,", "").replace("{dense = 5}", "{dens = 5}").replace("alpha = 0.3", "alpha = 3.0")
    with pytest.raises(InputError, match="got 3 mistakes"):
        parsed(tmp_path, text)


def test_a_file_brings_its_layers_and_its_activation(tmp_path):
    network = trained_cnn(activation=Tanh())
    write_npz(tmp_path / "n.npz", network)
    text = 'trials = 1\n[[networks]]\nfile = "n.npz"\n[[rules]]\nname = "random"\nalpha = 0.5\n'
    design = parsed(tmp_path, text)
    (point,) = design.points()
    assert point.network == network.spec()
    assert parsed(tmp_path, design.text).points() == design.points()
    with pytest.raises(InputError, match=r"the activation must be that of .*'tanh'"):
        parsed(tmp_path, text.replace('file = "n.npz"', 'file = "n.npz"\nactivation = "relu"'))
