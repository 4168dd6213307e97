"""simprune: Monte-Carlo study of what pruning does to a neural network.

Public names are imported when they are first used, so that ``import simprune`` loads no compiler, cluster or file library.
"""

import importlib
from typing import Any

__version__ = "0.1.0"
_HOMES = {
    "load_design": "simprune.design.file",
    "run": "simprune.api",
    "open_results": "simprune.store.results",
    "rebuild": "simprune.api",
    "check_assumptions": "simprune.assumptions.check",
    "magnitude_mask": "simprune.backends.mask",
    "read_npz": "simprune.trained.npz",
    "write_npz": "simprune.trained.npz",
    "read_network": "simprune.trained.formats",
    "write_network": "simprune.trained.formats",
    "write_pruned": "simprune.trained.formats",
    "read_weights": "simprune.trained.formats",
    "NamedWeight": "simprune.trained.named",
    "network_gap": "simprune.bracket.gap",
    "GapBracket": "simprune.bracket.gap",
    "GapMethod": "simprune.bracket.gap",
    "prune_masks": "simprune.bracket.masks",
    "Budget": "simprune.bracket.budget",
    "Allowance": "simprune.bracket.budget",
    "Design": "simprune.design.design",
    "Point": "simprune.design.point",
    "Results": "simprune.store.results",
    "TrialTable": "simprune.records",
    "Trial": "simprune.backends.base",
    "TrainedNetwork": "simprune.trained.network",
    "RunReport": "simprune.engine",
    "Progress": "simprune.engine",
    "StopRequest": "simprune.engine",
    "InputError": "simprune.model.errors",
}
__all__ = ["__version__", *_HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'simprune' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
