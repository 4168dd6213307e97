"""A block: the unit of work, one network with a range of trials and all points that share them."""

from dataclasses import dataclass

from simprune.design.point import Point
from simprune.trained.network import TrainedNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Trials ``first .. stop - 1`` of points that share network, seed and precision."""

    points: tuple[Point, ...]
    first: int
    stop: int
    trained: TrainedNetwork | None = None

    @property
    def n_trials(self) -> int:
        """Number of trials of each point."""
        return self.stop - self.first

    def split(self) -> tuple["Block", "Block"]:
        """Return the two halves of a block of at least two trials."""
        middle = (self.first + self.stop) // 2
        left = Block(points=self.points, first=self.first, stop=middle, trained=self.trained)
        return left, Block(points=self.points, first=middle, stop=self.stop, trained=self.trained)


def family(point: Point) -> tuple[tuple[int, int], str]:
    """Return what points must share to be in one block: the key of their targets and the precision."""
    return point.key, point.precision
