"""Findings as text."""

from collections.abc import Callable, Iterator, Sequence

from simprune.analysis.layout import paragraph, section, table
from simprune.analysis.wording import number, percent
from simprune.assumptions.findings import Findings, LayerFindings


def render(found: Findings) -> str:
    """Return the report: in short, which step fails first, then the measurements."""
    parts = [_short(found), _steps(found), _law(found), _structure(found), _placement(found)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _short(found: Findings) -> str:
    layers = found.layers
    sound = sum(not layer.failed for layer in layers)
    kept = [part.norm <= part.bound for layer in layers for part in layer.placements]
    lines = [f"Nothing speaks against the assumptions in {sound} of {len(layers)} tested layers."]
    for needs in dict.fromkeys(layer.failed[0].needs for layer in layers if layer.failed):
        names = [layer.name for layer in layers if layer.failed and layer.failed[0].needs == needs]
        lines.append(f"Fails first in {_listed(names)}: {needs}.")
    if kept:
        lines.append(f"The theory's bound of ||Delta|| holds all the same in {sum(kept)} of {len(kept)} prunings (table 4).")
    explained = (
        f"{found.origin}: the chance of any false alarm among all tests of all layers is at most {found.error:g} "
        f"({found.replicates} simulations each, seed {found.seed}); * marks what is rejected. What is not rejected is not "
        "proved: small layers show little."
    )
    return section("Does the theory apply?", explained, "\n".join(paragraph(line, bullet="* ") for line in lines))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _steps(found: Findings) -> str:
    lines = []
    for layer in found.layers:
        lines.append(paragraph(f"{layer.name}, {_shape(layer.shape)}, {layer.n_weights} weights", "  "))
        for i, step in enumerate(layer.failed):
            told = f"{'fails first' if i == 0 else 'fails'}: {step.needs}; {step.against}"
            lines.append(paragraph(told, "    "))
        if not layer.failed:
            lines.append("    no step fails")
    lines += [paragraph(f"{x.name}, {_shape(x.shape)}: not tested, {x.reason}", "  ") for x in found.untested]
    explained = (
        "What the proof needs, in its order: a known law (uniform, as in Theorem 1, or Gaussian), no ties, small weights at "
        "random positions, fair signs, independence, the norm of a random matrix."
    )
    return section("1. Steps of the proof that fail", explained, "\n".join(lines))


def _law(found: Findings) -> str:
    fitted = ("uniform: KS", "AD", "Gaussian: KS", "AD")
    columns = ("layer", "K uniform", "K Gaussian", *fitted, "excess kurtosis", "proxy", "tied")
    explained = (
        "K uniform: largest magnitude, K Gaussian: root mean square, both times sqrt(max(d_out, d_in)). Kolmogorov-Smirnov "
        "and Anderson-Darling statistics against fitted parameters. Excess kurtosis: -1.2 uniform, 0 Gaussian, 3 Laplace "
        "(approximate pointwise 95 % interval). Proxy: sub-Gaussian parameter over the deviation, 1 for uniform and "
        "Gaussian. Tied: share of magnitudes that another weight shares."
    )
    return _measured("2. Law of the weights", explained, columns, found, _law_row)


def _law_row(layer: LayerFindings) -> Iterator[list[str]]:
    yield [
        layer.name,
        number(layer.size.uniform, 3),
        number(layer.size.gaussian, 3),
        *(_marked(layer, kind) for kind in ("uniform KS", "uniform AD", "gaussian KS", "gaussian AD")),
        f"{layer.tails.excess_kurtosis:.2f} [{layer.tails.interval.low:.2f}, {layer.tails.interval.high:.2f}]",
        number(layer.tails.proxy, 3),
        percent(layer.ties.tied / layer.n_weights),
    ]


def _structure(found: Findings) -> str:
    columns = ("layer", "looked at", "||W*||", "bound", "/ edge", "outliers", *_STRUCTURE)
    explained = (
        "||W*||: from below. Bound: of the theory, for the nearer law, P >= 0.95. / edge: over the edge of the "
        "Marchenko-Pastur law. Outliers: singular values above those of all permutations. The rest, over their means with "
        "the same weights at random positions (signs: with random signs): largest singular value, root mean square cosine "
        "between rows and between columns, sum of the fourth powers of row and of column lengths, |mean|."
    )
    return _measured("3. Structure", explained, columns, found, _structure_row)


_STRUCTURE = ("spectrum", "rows", "columns", "row sizes", "column sizes", "signs")


def _structure_row(layer: LayerFindings) -> Iterator[list[str]]:
    yield [
        layer.name,
        _shape(layer.sampled),
        number(layer.spectrum.norm, 3),
        number(layer.spectrum.bound, 3),
        f"{layer.spectrum.norm / layer.spectrum.edge:.2f}",
        str(layer.spectrum.outliers),
        *(_marked(layer, kind, ratio=True) for kind in _STRUCTURE),
    ]


def _placement(found: Findings) -> str:
    columns = ("layer", "alpha", "pruned", "share", "||Delta||", "bound", "holds", "/ random positions")
    explained = (
        "Magnitude pruning of floor(D^(1 - alpha)) weights. ||Delta||: from below, within about 0.01 %. Bound: what the "
        "theory promises with P >= 0.95 for i.i.d. weights of the nearer law. / random positions: ||Delta|| of the rows and "
        "columns looked at over its mean with the same weights at random positions [range of the permutations], - where "
        "only zeros go; one test a layer, of all alphas."
    )
    return _measured("4. Small weights: their positions and ||Delta||", explained, columns, found, _placement_rows)


def _placement_rows(layer: LayerFindings) -> Iterator[list[str]]:
    mark = "*" if layer.test("placement").rejected else ""
    for part in layer.placements:
        yield [
            layer.name,
            f"{part.alpha:g}",
            str(part.n_pruned),
            percent(part.n_pruned / layer.n_weights),
            number(part.norm, 3),
            number(part.bound, 3),
            "yes" if part.norm <= part.bound else "NO",
            "-" if part.ratio is None else f"{part.ratio:.2f} [{part.low:.2f}, {part.high:.2f}]{mark}",
        ]


def _measured(
    title: str, explained: str, columns: Sequence[str], found: Findings, rows: Callable[[LayerFindings], Iterator[list[str]]]
) -> str:
    body = [row for layer in found.layers for row in rows(layer)]
    return section(title, explained, table(columns, [("", body)])) if body else ""


def _marked(layer: LayerFindings, kind: str, *, ratio: bool = False) -> str:
    test = layer.test(kind)
    return (f"{test.ratio:.2f}" if ratio else number(test.observed, 3)) + ("*" if test.rejected else "")


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
