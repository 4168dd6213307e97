"""The tables of a design file as pydantic models."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainValidator,
    create_model,
    model_validator,
)

from simprune.design import layer_values, values
from simprune.design.cluster import Cluster
from simprune.design.point import ESTIMATORS
from simprune.design.stopping import StoppingRule
from simprune.gap.ascent import Ascent
from simprune.gap.base import AbstractGapEstimator
from simprune.gap.spectral import Spectral
from simprune.model.activations import AbstractActivation, ReLU
from simprune.model.errors import InputError
from simprune.model.layers import AbstractLayer
from simprune.model.pruning import RULES, AbstractPruningRule, PerLayer
from simprune.model.registry import find

T = TypeVar("T")
OneOrMore = Annotated[list[T], Field(min_length=1), BeforeValidator(values.listed)]


class Table(BaseModel):
    """A table of the file: unknown keys and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class NetworkTable(Table):
    """A grid (width, depth), one network (widths), layers with a grid of width factors, or a trained network (file)."""

    width: OneOrMore[Annotated[int, AfterValidator(values.width)]] | None = None
    depth: OneOrMore[Annotated[int, AfterValidator(values.depth)]] | None = None
    widths: Annotated[list[int], AfterValidator(values.widths)] | None = None
    input: Annotated[list[int], AfterValidator(values.input_shape)] | None = None
    layers: Annotated[list[Annotated[AbstractLayer, PlainValidator(layer_values.layer)]], Field(min_length=1)] | None = None
    file: Annotated[values.NetworkFile, PlainValidator(values.file)] | None = None
    activation: OneOrMore[Annotated[AbstractActivation, PlainValidator(values.activation)]] | None = None
    distribution: OneOrMore[Annotated[str, AfterValidator(values.distribution)]] | None = None
    K: OneOrMore[Annotated[float, AfterValidator(values.scale)]] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> "NetworkTable":
        grid, law = self._given("width", "depth"), self._given("distribution", "K")
        chain = self._given("input", "layers")
        if self.file is None and self.widths is None and not chain and len(grid) < 2:
            got = f"{grid[0]} alone" if grid else "none of them"
            raise InputError(
                f"a network must have width and depth, or widths, or input and layers, or file, got {got}; complete it"
            )
        if len(chain) == 1:
            raise InputError(f"a network with layers must have input and layers, got {chain[0]} alone; complete it")
        if chain and (self.file or self.widths or self.depth):
            other = self._given("file", "widths", "depth")
            raise InputError(f"a network with layers must have no {' or '.join(other)}; remove that")
        if grid and (self.file or self.widths):
            given = "file" if self.file else "widths"
            raise InputError(f"a network with {given} must have no width or depth, got {' and '.join(grid)}; remove that")
        if self.file and law:
            raise InputError(f"a network read from a file must have no weight law, got {' and '.join(law)}; remove that")
        if self.file and self.widths is not None and tuple(self.widths) != self.file.network.widths:
            raise InputError(
                f"widths must be those of {self.file.written}, {list(self.file.network.widths)}, got {self.widths}; "
                "correct them or leave them out"
            )
        if self.file and self.activation:
            for activation in self.activation:
                self.file.network.spec(activation)
        return self

    def _given(self, *keys: str) -> list[str]:
        return [key for key in keys if getattr(self, key) is not None]

    @property
    def activations(self) -> list[AbstractActivation]:
        """The activations to study: those given, else the file's own, else ReLU."""
        own = self.file.network.activation if self.file else None
        return self.activation or [own or ReLU()]


class RuleTable(Table):
    """A pruning rule with a grid of amounts."""

    name: Annotated[str, AfterValidator(values.rule_name)]
    alpha: OneOrMore[Annotated[PerLayer, PlainValidator(values.alpha)]] | None = None
    pruned_fraction: OneOrMore[Annotated[PerLayer, PlainValidator(values.fraction)]] | None = None

    @model_validator(mode="after")
    def _one_amount(self) -> "RuleTable":
        self.rules()
        return self

    def rules(self) -> list[AbstractPruningRule]:
        """Return the rules of the grid."""
        cls = find(self.name, RULES, kind="rule")
        amounts = product(_or_none(self.alpha), _or_none(self.pruned_fraction))
        return [cls(alpha=alpha, pruned_fraction=fraction) for alpha, fraction in amounts]


def _or_none(amounts: list[PerLayer] | None) -> Sequence[PerLayer | None]:
    return [None] if amounts is None else amounts


def _built(cls: type[AbstractGapEstimator]) -> Callable[[Any], AbstractGapEstimator]:
    return lambda table: cls(**table.model_dump())


def _fields_of(cls: type[AbstractGapEstimator]) -> type[Table]:
    fields: dict[str, Any] = {field.name: (field.type, field.default) for field in dataclasses.fields(cls)}
    return create_model(cls.name, __base__=Table, **fields)


def _estimator_table(tables: Mapping[type[AbstractGapEstimator], type[Table]]) -> type[Table]:
    fields: dict[str, Any] = {
        cls.name: (Annotated[table, AfterValidator(_built(cls))] | None, None) for cls, table in tables.items()
    }
    return create_model("estimators", __base__=Table, **fields)


def _collected(table: Table) -> tuple[AbstractGapEstimator, ...]:
    return values.estimators(tuple(estimator for _, estimator in table if estimator is not None))


ESTIMATOR_TABLES = {cls: _fields_of(cls) for cls in ESTIMATORS}
EstimatorTable = _estimator_table(ESTIMATOR_TABLES)
Estimators = Annotated[
    tuple[AbstractGapEstimator, ...],
    GetPydanticSchema(lambda _, handler: handler.generate_schema(EstimatorTable)),
    AfterValidator(_collected),
]


class AnalysisTable(Table):
    """Labels for the analysis; they change no number of a run."""

    epsilon: OneOrMore[Annotated[float, AfterValidator(values.epsilon)]] = []
    delta: Annotated[float, AfterValidator(values.delta)] = 0.05


class StoppingTable(Table):
    """When a point has enough trials; every value is checked by the rule itself."""

    quantity: str
    epsilon: float | None = None
    level: float | None = None
    side: str = "attained"
    width: float | None = None
    confidence: float = 0.95
    first: int = 100
    growth: float = 1.25
    total: int | None = None

    @model_validator(mode="after")
    def _whole(self) -> "StoppingTable":
        self.rule()
        return self

    def rule(self) -> StoppingRule:
        """Return the rule of the table."""
        return StoppingRule(**self.model_dump())


class ClusterTable(Table):
    """Where workers run; every value is checked by the settings themselves."""

    jobs: int | None = None
    queue: str | None = None
    account: str | None = None
    walltime: str | None = None
    memory: str | None = None
    interface: str | None = None
    prologue: OneOrMore[str] = []
    directives: OneOrMore[str] = []
    ca_file: Annotated[str, AfterValidator(values.beside)] | None = None
    cert_file: Annotated[str, AfterValidator(values.beside)] | None = None
    key_file: Annotated[str, AfterValidator(values.beside)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> "ClusterTable":
        self.cluster()
        return self

    def cluster(self) -> Cluster:
        """Return the settings of the table."""
        lists = {"prologue": tuple(self.prologue), "directives": tuple(self.directives)}
        return Cluster(**(self.model_dump() | lists))


class DesignTable(Table):
    """The whole file."""

    name: Annotated[str, AfterValidator(values.name)] | None = None
    seed: Annotated[int, AfterValidator(values.seed)] = 0
    trials: Annotated[int, AfterValidator(values.trials)]
    precision: Annotated[str, AfterValidator(values.precision)] = "float32"
    networks: Annotated[list[NetworkTable], Field(min_length=1)]
    rules: Annotated[list[RuleTable], Field(min_length=1)]
    estimators: Estimators = (Ascent(), Spectral())
    analysis: AnalysisTable = AnalysisTable()
    stopping: StoppingTable | None = None
    cluster: ClusterTable = ClusterTable()


TABLES: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): DesignTable,
    ("networks",): NetworkTable,
    ("rules",): RuleTable,
    ("analysis",): AnalysisTable,
    ("stopping",): StoppingTable,
    ("cluster",): ClusterTable,
    ("estimators",): EstimatorTable,
    **{("estimators", cls.name): table for cls, table in ESTIMATOR_TABLES.items()},
}
