import pytest

from tests.design.texts import GOOD, HEAD, NETWORK, RULE, mistakes_of


def assert_told(text, sentence):
    (mistake,) = mistakes_of(text)
    assert sentence in mistake
    assert "\n" not in mistake


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("width = 0\ndepth = 1", "networks[0].width: every width must lie in 1..1099511627776, got width 0"),
        ("width = [8, 0]\ndepth = 1", "networks[0].width[1]: every width must lie in"),
        ("width = 8.5\ndepth = 1", "networks[0].width: must be an integer, got 8.5"),
        ("width = true\ndepth = 1", "networks[0].width: must be an integer, got True"),
        ("width = 1048576\ndepth = 1", "networks[0]: a layer must have at most 2^33 weights"),
        ("width = []\ndepth = 1", "networks[0].width: must hold at least one entry"),
        ("width = 4\ndepth = 0", "networks[0].depth: depth must lie in 1..1000, got 0"),
        ("width = 4", "networks[0]: a network must have width and depth, or widths, or input and layers, or file"),
        ("widths = [4]", "networks[0].widths: widths must name at least input and output"),
        ("widths = [4, 4]\ndepth = 1", "networks[0]: a network with widths must have no width or depth"),
        ("width = 8\ndepth = 2\nK = 0", "networks[0].K: K must be positive and finite, got 0.0"),
        ("width = 8\ndepth = 2\nK = inf", "networks[0].K: must be a finite number, got inf"),
        (
            "width = 8\ndepth = 2\nactivation = 'relo'",
            "activation must be a known name, got 'relo'; did you mean 'relu'?",
        ),
        ("width = 8\ndepth = 2\nactivation = {name = 'leaky_relu', slop = 1}", "got 'slop'; did you mean 'slope'?"),
        (
            "width = 8\ndepth = 2\nactivation = {name = 'leaky_relu', slope = 2}",
            "slope of leaky_relu must lie in [0, 1]",
        ),
        ("width = 8\ndepth = 2\nactivation = {name = 'tanh', slope = 1}", "got 'slope'; tanh has none"),
        ("width = 8\ndepth = 2\nactivation = 3", "networks[0].activation: an activation must be a name"),
        ("width = 8\ndepth = 2\ndistribution = 'unifrom'", "did you mean 'uniform'?"),
    ],
)
def test_a_mistake_in_a_network_is_told_with_its_path(body, sentence):
    assert_told(f"{HEAD}[[networks]]\n{body}\n{RULE}", sentence)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("name='magnitude'\nalpha = 1.3", "rules[0].alpha: alpha must lie in (0, 1), got alpha=1.3"),
        ("name='magnitude'\nalpha = [0.1, 0]", "rules[0].alpha[1]: alpha must lie in (0, 1), got alpha=0.0"),
        ("name='magnitude'\nalpha = '0.1'", "rules[0].alpha: an amount must be a number"),
        ("name='magnitude'\nalpha = nan", "rules[0].alpha: must be a finite number, got nan"),
        ("name='random'\npruned_fraction = 1.5", "rules[0].pruned_fraction: pruned_fraction must lie in [0, 1]"),
        ("name='magnitud'\nalpha = 0.5", "did you mean 'magnitude'?"),
        ("name='random'", "rules[0]: a random rule must have either alpha or pruned_fraction"),
        ("name='random'\nalpha=0.1\npruned_fraction=0.1", "rules[0]: a random rule must have either"),
        ("name='random'\nalpha=[[0.1, 0.2, 0.3]]", "rules[0] on networks[0]: a random rule must have one amount"),
        ("name = 'magnitude'\nalfa = 0.3", "rules[0].alfa: must be a known key, got 'alfa'; did you mean 'alpha'?"),
    ],
)
def test_a_mistake_in_a_rule_is_told_with_its_path(body, sentence):
    assert_told(f"{HEAD}{NETWORK}[[rules]]\n{body}\n", sentence)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("[estimators.ascnt]\n", "estimators.ascnt: must be a known key, got 'ascnt'; did you mean 'ascent'?"),
        (
            "[estimators.ascent]\nrestart = 3\n",
            "estimators.ascent.restart: must be a known key, got 'restart'; did you mean",
        ),
        ("[estimators.ascent]\nrestarts = 0\n", "estimators.ascent: restarts must lie in 1..4096, got 0"),
        ("[estimators.ascent]\nkeep_witness = 1\n", "estimators.ascent.keep_witness: must be true or false, got 1"),
        ("[estimators.spectral]\n", "estimators: estimators must contain a lower one, got none"),
        ("[analysis]\nepsilon = 0\n", "analysis.epsilon: epsilon must be positive, got 0"),
        ("[analysis]\ndelta = 1\n", "analysis.delta: delta must lie in (0, 1), got 1"),
        ("[analysis]\nepsilonn = 1\n", "did you mean 'epsilon'?"),
    ],
)
def test_a_mistake_at_the_end_is_told_with_its_path(body, sentence):
    assert_told(GOOD + body, sentence)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("trails = 5", "trails: must be a known key, got 'trails'; did you mean 'trials'?"),
        ("seed = -1", "seed: seed must lie in 0..2^63-1, got -1"),
        ("seed = 9223372036854775808", "seed: seed must lie in 0..2^63-1"),
        ("precision = 'float16'", "precision: precision must be one of"),
        ("name = '../x'", "name: name must be 1 to 64 letters"),
    ],
)
def test_a_mistake_at_the_top_is_told_with_its_path(body, sentence):
    assert_told(f"{body}\n{GOOD}", sentence)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (GOOD + RULE, "rules[1] on networks[0]: every point must appear once"),
        ("trials = 0\n" + NETWORK + RULE, "trials: trials must lie in 1..2^40, got 0"),
        (NETWORK + RULE, "trials: must be given, got nothing; add it"),
        (HEAD + RULE, "networks: must be given, got nothing"),
        (HEAD + "[networks]\nwidth = 4\ndepth = 1\n" + RULE, "networks: must be a list, got"),
        ("networks = [3]\n" + HEAD + RULE, "networks[0]: must be a table, got 3"),
    ],
)
def test_a_mistake_of_the_whole_file_is_told_with_its_path(text, sentence):
    assert_told(text, sentence)
