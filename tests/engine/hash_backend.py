"""A backend whose rows are a hash of their address, with faults at chosen trials and a diary of what it computed."""

import hashlib
import os
import signal
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from simprune.backends.base import AbstractBackend, Trial
from simprune.design.block import Block
from simprune.design.design import Design
from simprune.design.point import Point
from simprune.gap.sampled import Sampled
from simprune.model.activations import ReLU
from simprune.model.distributions import Gaussian
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import MagnitudePruning
from simprune.records import TrialBatch, column_shape, columns_of


@dataclass(frozen=True, slots=True, kw_only=True)
class HashBackend(AbstractBackend):
    name: ClassVar[str] = "hash"
    seconds_per_trial: float = 0.0
    kills: tuple[int, ...] = ()
    raises: tuple[int, ...] = ()
    hangs: tuple[int, ...] = ()
    only_point: str | None = None
    diary: str | None = None

    def run(self, block: Block) -> list[TrialBatch]:
        self._note(block)
        for trial in range(block.first, block.stop):
            self._misbehave(block, trial)
            time.sleep(self.seconds_per_trial)
        info = {"seconds": max(block.n_trials * self.seconds_per_trial, 1e-6), "backend": self.name}
        return [
            TrialBatch(point=p, first=block.first, stop=block.stop, columns=columns(p, block.first, block.stop), info=info)
            for p in block.points
        ]

    def _misbehave(self, block: Block, trial: int) -> None:
        if self.only_point is not None and self.only_point not in [p.digest() for p in block.points]:
            return
        if trial in self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        if trial in self.raises:
            raise ArithmeticError(f"trial {trial} is bad")
        if trial in self.hangs:
            time.sleep(3600)

    def _note(self, block: Block) -> None:
        if self.diary is not None:
            line = f"{os.getpid()} {block.first} {block.stop} {len(block.points)} {block.points[0].digest()}\n"
            fd = os.open(self.diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(fd, line.encode())
            os.close(fd)

    def open(self, point: Point, trials: Any, trained: Any) -> Any:
        raise NotImplementedError

    def batch_size(self, point: Point) -> int:
        raise NotImplementedError

    def rebuild(self, point: Point, trial: int, trained: Any) -> Trial:
        raise NotImplementedError


def columns(point: Point, first: int, stop: int) -> dict[str, Any]:
    """Rows of trials first .. stop - 1, each from the digest and its trial alone."""
    made = {}
    for spec in columns_of(point):
        rows = [_row(point.digest(), spec.name, trial, column_shape(spec, point, 1)[1:]) for trial in range(first, stop)]
        made[spec.name] = np.array(rows).astype(spec.dtype)
    made["trial"] = np.arange(first, stop, dtype="<i8")
    return made


def _row(digest: str, name: str, trial: int, shape: tuple[int, ...]) -> Any:
    seed = hashlib.sha256(f"{digest}{name}{trial}".encode()).digest()[:4]
    return np.arange(int(np.prod(shape))).reshape(shape) + int.from_bytes(seed)


def design(
    *, trials: int, widths: tuple[int, ...] = (4, 8), alphas: tuple[float, ...] = (0.3, 0.5, 0.7), seed: int = 1
) -> Design:
    """One point for every width and alpha."""
    points = [
        Point(
            network=NetworkSpec(
                widths=(width, width, width), activation=ReLU(), target=SampledTarget(distribution=Gaussian())
            ),
            rule=MagnitudePruning(alpha=alpha),
            estimators=(Sampled(),),
            seed=seed,
        )
        for width in widths
        for alpha in alphas
    ]
    return Design(cells=tuple(points), trials=trials)
