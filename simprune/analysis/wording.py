"""Numbers and points as short text, one way everywhere in the report."""

from collections.abc import Sequence
from itertools import groupby

from simprune.analysis.estimates import Interval, Refused
from simprune.analysis.quantiles import QuantileEstimate
from simprune.design.point import Point
from simprune.model.chain import Chain
from simprune.model.layers import Conv2d, Flatten
from simprune.model.network import FixedTarget


def number(value: float | None, digits: int = 4) -> str:
    """Return a value in ``digits`` significant digits, "-" for None.

    >>> number(0.0123456), number(0.0), number(1.5e-7)
    ('0.01235', '0', '1.500e-07')
    """
    if value is None:
        return "-"
    if value == 0.0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    return f"{value:#.{digits}g}".removesuffix(".")


def interval(value: Interval | Refused, digits: int = 4) -> str:
    """Return ``[low, high]``, or how many trials an interval needs."""
    if isinstance(value, Refused):
        return f"[needs {value.needed} rows]" if value.needed else "[none]"
    return f"[{number(value.low, digits)}, {number(value.high, digits)}]"


def estimate(value: QuantileEstimate, digits: int = 4) -> str:
    """Return a quantile with its interval."""
    return "-" if value.value is None else f"{number(value.value, digits)} {interval(value.interval, digits)}"


def quantile_name(level: float) -> str:
    """Return the name of the quantile of a level.

    >>> quantile_name(0.5), quantile_name(0.95)
    ('median', '95 % quantile')
    """
    return "median" if level == 0.5 else f"{100 * level:g} % quantile"


def percent(fraction: float) -> str:
    """Return a fraction in percent.

    >>> percent(0.02441), percent(1.0)
    ('2.44 %', '100 %')
    """
    return "100 %" if fraction == 1.0 else f"{100 * fraction:.3g} %"


def widths_text(widths: Sequence[int]) -> str:
    """Return widths joined by dashes, long runs of equal ones as ``width*count``.

    >>> widths_text((64, 64, 10)), widths_text((1024, 1024, 1024, 1024, 10))
    ('64-64-10', '1024*4-10')
    """
    plain = "-".join(str(width) for width in widths)
    if len(plain) <= 15:
        return plain
    runs = [(width, len(list(run))) for width, run in groupby(widths)]
    return "-".join(f"{width}*{count}" if count > 1 else f"{width}" for width, count in runs)


def layers_text(chain: Chain) -> str:
    """Return the layers in short, without their sizes.

    >>> from simprune.model.layers import Conv2d, Dense, Flatten, MaxPool
    >>> pool = MaxPool(kernel=(2, 2), stride=(2, 2))
    >>> layers = (Conv2d(channels=8, kernel=(3, 3), stride=(2, 2)), pool, Flatten(), Dense(width=10))
    >>> layers_text(Chain(input=(1, 8, 8), layers=layers))
    '8x8 image, conv 3x3 stride 2x2, max_pool 2x2, dense'
    """
    told = ["x".join(map(str, chain.input[1:])) + " image"]
    for layer in chain.layers:
        fields, name = layer.to_dict(), "conv" if isinstance(layer, Conv2d) else layer.name
        kernel, stride = fields.get("kernel", []), fields.get("stride", [])
        words = [name, *([f"{kernel[0]}x{kernel[1]}"] if kernel else [])]
        usual = [1, 1] if isinstance(layer, Conv2d) else kernel
        words += [f"stride {stride[0]}x{stride[1]}"] if stride != usual else []
        words += [f"{fields['groups']} groups"] if fields.get("groups", 1) > 1 else []
        words += ["circular"] if fields.get("circular") else []
        told += [] if isinstance(layer, Flatten) else [" ".join(words)]
    return ", ".join(told)


def amount_text(point: Point) -> str:
    """Return how much the rule prunes, as the design says it."""
    rule = point.rule
    if rule.alpha is not None:
        alphas = rule.alpha if isinstance(rule.alpha, tuple) else (rule.alpha,)
        return f"alpha {', '.join(f'{alpha:g}' for alpha in alphas)}"
    assert rule.pruned_fraction is not None
    fractions = rule.pruned_fraction if isinstance(rule.pruned_fraction, tuple) else (rule.pruned_fraction,)
    return f"pruned {', '.join(percent(fraction) for fraction in fractions)}"


def facts(point: Point) -> dict[str, str]:
    """Return what describes a point, in words; equal texts where points agree."""
    network = point.network
    estimators = [_fields(e.name, {k: v for k, v in e.to_dict().items() if k != "name"}) for e in point.estimators]
    if isinstance(network.target, FixedTarget):
        weights = f"trained network {network.target.sha256[:12]}"
    else:
        law = network.distribution
        assert law is not None
        weights = f"{law.name} weights, K = {law.K:g}"
    activation = _fields(network.activation.name, {k: v for k, v in network.activation.to_dict().items() if k != "name"})
    return {
        "rule": f"{point.rule.name} pruning",
        "amount": amount_text(point),
        "depth": f"depth {network.depth}" + (f" ({layers_text(network.chain)})" if network.chain else ""),
        "widths": widths_text(network.channels),
        "activation": activation if network.depth > 1 else "no activation",
        "weights": weights,
        "estimators": " + ".join(sorted(estimators)),
        "precision": point.precision,
        "seed": f"seed {point.seed}",
    }


def _fields(name: str, fields: dict[str, object]) -> str:
    told = ", ".join(f"{key} {value}" for key, value in fields.items() if value not in (None, False))
    return f"{name} ({told})" if told else name
