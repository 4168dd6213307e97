"""The resume loop: what is missing is cut into blocks, computed somewhere, and stored as it arrives."""

from simprune.engine.loop import run
from simprune.engine.progress import PointProgress, Progress
from simprune.engine.recompute import Mismatch, recompute
from simprune.engine.report import Failure, RunReport
from simprune.engine.stop import StopRequest
from simprune.engine.watched import Interval, Tally

__all__ = [
    "Failure",
    "Interval",
    "Mismatch",
    "PointProgress",
    "Progress",
    "RunReport",
    "StopRequest",
    "Tally",
    "recompute",
    "run",
]
