import re
from pathlib import Path

import numpy as np
import pytest

from simprune.design.file import load_design, parse_design
from simprune.design.template import PRESETS
from simprune.gap.ascent import Ascent
from simprune.gap.sampled import Sampled
from simprune.gap.spectral import Spectral
from simprune.model.errors import InputError
from tests.design.texts import GOOD, HEAD, NETWORK, RULE, mistakes_of, parse

DESIGNS = sorted((Path(__file__).parents[2] / "data" / "designs").glob("*.toml"))


def save_network(path, widths=(3, 5, 2)):
    rng = np.random.default_rng(0)
    np.savez(path, **{f"W{i}": rng.normal(size=(widths[i + 1], widths[i])) for i in range(len(widths) - 1)})


def test_the_smallest_file_takes_every_default():
    design = parse(GOOD)
    (point,) = design.points()
    assert (design.name, design.trials, design.epsilons, design.delta) == ("study", 10, (), 0.05)
    assert (point.network.widths, point.seed, point.precision) == ((8, 8, 8), 0, "float32")
    assert point.network.to_dict()["activation"] == {"name": "relu"}
    assert point.network.to_dict()["target"] == {"name": "sampled", "distribution": {"name": "uniform", "K": 1.0}}
    assert point.estimators == (Ascent(), Spectral())
    assert point.n_pruned == (18, 18)


def test_a_grid_is_the_product_of_its_lists():
    design = parse(
        HEAD
        + """
        [[networks]]
        width = [4, 8]
        depth = [1, 2, 3]
        K = [1, 2.0]
        distribution = ["uniform", "gaussian"]
        activation = ["tanh", {name = "leaky_relu", slope = 0}]
        [[networks]]
        widths = [5, 6, 7]
        [[rules]]
        name = "random"
        alpha = [0.1, 0.3]
        [[rules]]
        name = "bernoulli"
        pruned_fraction = 0.5
        [estimators.sampled]
        samples = 3
        [analysis]
        epsilon = 0.1
        delta = 0.2
        """
    )
    points = design.points()
    assert len(points) == (2 * 3 * 2 * 2 * 2 + 1) * 3
    assert len({p.digest() for p in points}) == len(points)
    assert {p.network.widths for p in points} == {(w,) * (d + 1) for w in (4, 8) for d in (1, 2, 3)} | {(5, 6, 7)}
    assert all(p.estimators == (Sampled(samples=3),) for p in points)
    assert (design.epsilons, design.delta) == ((0.1,), 0.2)


def test_one_amount_for_each_layer_is_a_list_inside_the_list():
    design = parse(HEAD + NETWORK + "[[rules]]\nname='random'\npruned_fraction = [0.25, [0.5, 0.75]]\n")
    assert [p.n_pruned for p in design.points()] == [(16, 16), (32, 48)]


def test_integers_where_numbers_are_expected_change_no_identity():
    one = parse(HEAD + NETWORK + "K = 2\nactivation = {name = 'leaky_relu', slope = 1}\n" + RULE)
    other = parse(HEAD + NETWORK + "K = 2.0\nactivation = {name = 'leaky_relu', slope = 1.0}\n" + RULE)
    assert one.fingerprint() == other.fingerprint()


def test_a_trained_network_is_read_beside_the_file(tmp_path):
    save_network(tmp_path / "n.npz")
    (tmp_path / "designs").mkdir()
    text = HEAD + "[[networks]]\nfile = '../n.npz'\nwidths = [3, 5, 2]\n" + RULE
    design = parse(text, tmp_path / "designs")
    (point,) = design.points()
    network = design.network_of(point)
    assert network is not None
    assert point.network.widths == network.widths == (3, 5, 2)
    assert network.sha256 in design.text


@pytest.mark.parametrize("path", DESIGNS, ids=lambda path: path.stem)
def test_the_shipped_designs_load_and_their_resolved_text_loads_to_the_same(path):
    design = load_design(path)
    again = parse_design(design.text, path=path)
    assert design.name == path.stem
    assert again.fingerprint() == design.fingerprint()
    assert again.text == design.text
    assert (again.trials, again.epsilons, again.delta) == (design.trials, design.epsilons, design.delta)


def test_there_are_shipped_designs():
    assert {"theorem1", "digits"} <= {path.stem for path in DESIGNS}


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_template_loads(tmp_path, preset):
    save_network(tmp_path / "network.npz")
    (tmp_path / "design.toml").write_text(PRESETS[preset])
    design = load_design(tmp_path / "design.toml")
    assert parse(design.text, tmp_path).fingerprint() == design.fingerprint()


def test_what_the_template_comments_out_loads_too(tmp_path):
    save_network(tmp_path / "network.npz")
    text = re.sub(
        r"^# (\[\[networks\]\]|widths? =|input =|layers =|file =|activation =)", r"\1", PRESETS["sampled"], flags=re.M
    )
    assert len(parse(text, tmp_path).points()) == (3 + 1 + 3 + 1) * 4


def test_all_mistakes_are_told_at_once():
    mistakes = mistakes_of(
        "sed = 1\ntrials = 0\n[[networks]]\nwidth = [0, 8]\ndepth = 'a'\n[[rules]]\nname = 'x'\nalpha = 2\n"
    )
    paths = [mistake.split(":")[0] for mistake in mistakes]
    assert sorted(paths) == ["networks[0].depth", "networks[0].width[0]", "rules[0].alpha", "rules[0].name", "sed", "trials"]


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ("file = 'none.npz'", "networks[0].file: the network file must exist, got"),
        ("file = '.'", "networks[0].file: a network must be a file, got the folder"),
        ("file = 3", "networks[0].file: file must be a string, got 3"),
        ("file = 'n.npz'\nwidths = [3, 4, 2]", "networks[0]: widths must be those of n.npz, [3, 5, 2], got [3, 4, 2]"),
        ("file = 'n.npz'\nK = 1.0", "networks[0]: a network read from a file must have no weight law, got K"),
        ("file = 'n.npz'\nwidth = 3", "networks[0]: a network with file must have no width or depth, got width"),
    ],
)
def test_a_wrong_network_file_is_told(tmp_path, network, sentence):
    save_network(tmp_path / "n.npz")
    (mistake,) = mistakes_of(HEAD + f"[[networks]]\n{network}\n" + RULE, tmp_path)
    assert sentence in mistake


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("trials 10\n", "must be valid TOML, got: .*line 1, column 8"),
        ("a = [\n", "must be valid TOML"),
        ("trials = 10\ntrials = 11\n", "must be valid TOML, got: Cannot overwrite a value .*line 2"),
        ("a = " + "[" * 3000, "must nest a few levels"),
        ("a = " + "9" * 5000 + "\n", "must be valid TOML"),
        ("a" + ".a" * 20000 + " = 1\n", "line 1 must have at most 8192 bytes, got 40005"),
    ],
)
def test_hostile_text_is_refused_with_a_sentence(text, sentence):
    with pytest.raises(InputError, match=sentence):
        parse(text)


def test_hostile_files_are_refused_with_a_sentence(tmp_path):
    path = tmp_path / "d.toml"
    with pytest.raises(InputError, match="design file must exist"):
        load_design(path)
    with pytest.raises(InputError, match="got the folder"):
        load_design(tmp_path)
    path.write_text("# fill\n" * 10_000)
    with pytest.raises(InputError, match="at most 64 KiB"):
        load_design(path)
    path.write_bytes(b"name = '\xff'\n")
    with pytest.raises(InputError, match="must be UTF-8 text, got byte 8"):
        load_design(path)


def test_a_grid_that_explodes_is_refused_before_it_is_built():
    hundred = str([0.001 * i for i in range(1, 102)])
    many = f"[[networks]]\nwidth = {list(range(1, 102))}\ndepth = 1000\n[[rules]]\nname='random'\nalpha = {hundred}\n"
    (mistake,) = mistakes_of(HEAD + many)
    assert "a design must have at most 10000 points, got 10201" in mistake
