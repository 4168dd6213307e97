"""Values of a design file: each is checked by the spec that owns its range, so that a range is written once."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationInfo

from simprune.design.design import Design
from simprune.design.point import Point
from simprune.gap.base import AbstractGapEstimator
from simprune.gap.sampled import Sampled
from simprune.model.activations import ACTIVATIONS, AbstractActivation, Identity
from simprune.model.chain import Chain
from simprune.model.distributions import DISTRIBUTIONS, Uniform
from simprune.model.errors import InputError, nearest
from simprune.model.layers import Dense, Flatten
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import RULES, MagnitudePruning, PerLayer
from simprune.model.registry import find, from_dict
from simprune.trained.formats import read_network
from simprune.trained.network import TrainedNetwork

MAX_DEPTH = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NETWORK = NetworkSpec(widths=(1, 1), activation=Identity(), target=SampledTarget(distribution=Uniform()))
_POINT = Point(network=_NETWORK, rule=MagnitudePruning(alpha=0.5), estimators=(Sampled(),), seed=0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFile:
    """A network file as the design names it, and what it holds."""

    written: str
    network: TrainedNetwork


def name(value: str) -> str:
    """Return a name that can be a folder."""
    if not _NAME.fullmatch(value):
        raise InputError(f"name must be 1 to 64 letters, digits, '.', '_' or '-', got '{value}'; it names a folder")
    return value


def seed(value: int) -> int:
    """Return a seed that a point takes."""
    return dataclasses.replace(_POINT, seed=value).seed


def precision(value: str) -> str:
    """Return a known precision."""
    return dataclasses.replace(_POINT, precision=value).precision


def trials(value: int) -> int:
    """Return a number of trials that a design takes."""
    return Design(cells=(_POINT,), trials=value).trials


def width(value: int) -> int:
    """Return a width that a network takes."""
    return NetworkSpec(widths=(value, 1), activation=Identity(), target=_NETWORK.target).widths[0]


def widths(value: list[int]) -> list[int]:
    """Return the widths of one whole network."""
    return list(dataclasses.replace(_NETWORK, widths=tuple(value)).widths)


def input_shape(value: list[int]) -> list[int]:
    """Return the shape of an input."""
    return list(Chain(input=tuple(value), layers=(Flatten(), Dense(width=1))).input)


def depth(value: int) -> int:
    """Return a number of weight matrices."""
    if not 1 <= value <= MAX_DEPTH:
        raise InputError(f"depth must lie in 1..{MAX_DEPTH}, got {value}; it is the number of weight matrices")
    return value


def scale(value: float) -> float:
    """Return a scale constant K that a law takes."""
    return Uniform(K=value).K


def distribution(value: str) -> str:
    """Return a known weight law."""
    return find(value, DISTRIBUTIONS, kind="distribution").name


def rule_name(value: str) -> str:
    """Return a known pruning rule."""
    return find(value, RULES, kind="rule").name


def epsilon(value: float) -> float:
    """Return a positive gap."""
    if value <= 0.0:
        raise InputError(f"epsilon must be positive, got {value}; it is the gap that P(gap <= epsilon) speaks about")
    return value


def delta(value: float) -> float:
    """Return a probability of failure."""
    if not 0.0 < value < 1.0:
        raise InputError(f"delta must lie in (0, 1), got {value}; it is the probability that the theorem leaves to failure")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def activation(value: Any) -> AbstractActivation:
    """Return the activation of a name, or of a table with a name and parameters."""
    table: Mapping[str, Any] = value if isinstance(value, dict) else {"name": value}
    if not isinstance(table.get("name"), str):
        raise InputError(f'an activation must be a name or a table with a name, got {value!r}; write e.g. "relu"')
    cls = find(table["name"], ACTIVATIONS, kind="activation")
    known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key, number in table.items():
        if key != "name" and key not in known:
            hint = nearest(key, known) if known else f"{cls.name} has none"
            raise InputError(f"the activation's key must be one of its parameters, got '{key}'; {hint}")
        if key != "name" and not _is_number(number):
            raise InputError(f"{key} of {cls.name} must be a number, got {number!r}; write e.g. {key} = 0.1")
    fields = {key: item if key == "name" else float(item) for key, item in table.items()}
    return from_dict(fields, ACTIVATIONS, kind="activation")


def _amount(value: Any) -> PerLayer:
    if _is_number(value):
        return float(value)
    if isinstance(value, list) and value and all(_is_number(item) for item in value):
        return tuple(float(item) for item in value)
    raise InputError(f"an amount must be a number or one number a layer, got {value!r}; write e.g. 0.3 or [0.1, 0.3]")


def alpha(value: Any) -> PerLayer:
    """Return an exponent that a rule takes, or one for each layer."""
    amount = _amount(value)
    MagnitudePruning(alpha=amount)
    return amount


def fraction(value: Any) -> PerLayer:
    """Return a pruned fraction that a rule takes, or one for each layer."""
    amount = _amount(value)
    MagnitudePruning(pruned_fraction=amount)
    return amount


def file(value: Any, info: ValidationInfo) -> NetworkFile:
    """Return the network of a file beside the design."""
    if not isinstance(value, str):
        raise InputError(f"file must be a string, got {value!r}; name a network file, relative to the design file")
    folder: Path = (info.context or {})["folder"]
    return NetworkFile(written=value, network=read_network(folder / value))


def beside(value: str, info: ValidationInfo) -> str:
    """Return the path of a file that is named relative to the design."""
    folder: Path = (info.context or {})["folder"]
    return str(folder / value)


def listed(value: Any) -> Any:
    """Return a list: a single value stands for a list of one."""
    return value if isinstance(value, list) else [value]


def estimators(value: tuple[AbstractGapEstimator, ...]) -> tuple[AbstractGapEstimator, ...]:
    """Return estimators that a point takes."""
    return dataclasses.replace(_POINT, estimators=value).estimators
