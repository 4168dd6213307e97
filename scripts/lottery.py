"""Train, prune, retrain: accuracy of pruned digit networks beside the bracketed gap to the network they were pruned from.

    python scripts/lottery.py [FOLDER]        # needs the extra [torch]; writes lottery.json, .csv and .svg, prints a table

A 64-64-32-10 ReLU network is trained on scikit-learn's digits (images in the unit ball, as in train_digits.py). Each rule
zeroes a share of every layer; then the mask is held and training goes on, from the final weights and from those after the
first epoch (rewound). Every stage gets its test accuracy, the largest output change over the test images, and the bracket
attained <= sup over the unit ball <= certified of the output change. All is repeated for several seeds.
"""

import csv
import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from simprune.bracket.gap import GapMethod, network_gap
from simprune.bracket.masks import prune_masks
from simprune.model.activations import ReLU
from simprune.model.pruning import MagnitudePruning, RandomPruning
from simprune.trained.network import TrainedNetwork

WIDTHS = (64, 64, 32, 10)
PIXEL_SCALE = 80.0
N_TEST = 360
BATCH = 32
RATE = 3e-3
REWOUND = 1
RULES = (MagnitudePruning, RandomPruning)
STAGES = ("pruned", "retrained", "rewound")
FOLDER = Path(__file__).parent.parent / "data" / "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is done: seeds, shares of every layer that go, epochs of the first training and of retraining."""

    seeds: Sequence[int] = (1, 2, 3)
    fractions: Sequence[float] = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
    epochs: int = 40
    retraining: int = 20
    method: GapMethod = field(default_factory=GapMethod)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One stage of one pruned network; gaps are to the trained network that it was pruned from."""

    seed: int
    rule: str
    pruned_fraction: float
    stage: str
    target_accuracy: float
    accuracy: float
    test_gap: float
    gap_lower: float
    gap_upper: float
    output_norm: float


def images(seed):
    """Return (x, labels) of the training images and of the test images, float32 ``[n, 64]``."""
    x, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    pixels = torch.tensor((x / PIXEL_SCALE)[order], dtype=torch.float32)
    digits = torch.tensor(labels[order])
    return (pixels[N_TEST:], digits[N_TEST:]), (pixels[:N_TEST], digits[:N_TEST])


def fresh(seed):
    """Return an untrained network."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    layers = [layer for pair in itertools.pairwise(WIDTHS) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def linear(model):
    return [layer for layer in model if isinstance(layer, nn.Linear)]


def train(model, data, *, epochs, seed, masks=None, after_first=lambda: None):
    """Train in place; weights whose mask is False stay 0. ``after_first()`` is called after the first epoch."""
    x, labels = data
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    order = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        for rows in torch.randperm(len(x), generator=order).split(BATCH):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), labels[rows]).backward()
            optimiser.step()
            hold(model, masks)
        if epoch + 1 == REWOUND:
            after_first()


def hold(model, masks):
    """Set weights whose mask is False to 0."""
    with torch.no_grad():
        for layer, mask in zip(linear(model), masks or (), strict=bool(masks)):
            layer.weight *= mask


def as_network(model):
    """Return the weights as simprune's network."""
    return TrainedNetwork(
        weights=tuple(layer.weight.detach().numpy().copy() for layer in linear(model)),
        biases=tuple(layer.bias.detach().numpy().copy() for layer in linear(model)),
        origin="lottery",
        activation=ReLU(),
    )


def outputs(model, x):
    with torch.no_grad():
        return model(x)


def accuracy(model, data):
    """Return the share of images whose largest output is the right one."""
    return float((outputs(model, data[0]).argmax(dim=1) == data[1]).double().mean())


def copy(state):
    return {name: tensor.clone() for name, tensor in state.items()}


def studied(plan, seed, *, told=lambda line: None):
    """Yield the rows of all rules, fractions and stages of one seed."""
    training, test = images(seed)
    model, early = fresh(seed), {}
    train(model, training, epochs=plan.epochs, seed=seed, after_first=lambda: early.update(copy(model.state_dict())))
    final, target, before = copy(model.state_dict()), as_network(model), outputs(model, test[0])
    whole = accuracy(model, test)
    told(f"seed {seed}: test accuracy {whole:.3f}")
    starts = {"pruned": (final, 0), "retrained": (final, plan.retraining), "rewound": (early, plan.epochs - REWOUND)}
    for rule, fraction in itertools.product(RULES, plan.fractions):
        masks = prune_masks(target, rule(pruned_fraction=fraction), seed=seed)
        kept = [torch.tensor(mask) for mask in masks]
        for stage, (state, epochs) in starts.items():
            model.load_state_dict(state)
            hold(model, kept)
            train(model, training, epochs=epochs, seed=seed + 1000, masks=kept)
            found = network_gap(target, as_network(model), method=plan.method)
            yield Row(
                seed=seed,
                rule=rule.name,
                pruned_fraction=fraction,
                stage=stage,
                target_accuracy=whole,
                accuracy=accuracy(model, test),
                test_gap=float((outputs(model, test[0]) - before).norm(dim=1).max()),
                gap_lower=found.lower,
                gap_upper=found.upper,
                output_norm=found.output_norm,
            )
        told(f"  {rule.name}, pruned fraction {fraction:g}")


def means(rows):
    """Return (rule, fraction) -> stage -> mean of every number over the seeds, in the order of the rows."""
    grouped = {}
    for row in rows:
        grouped.setdefault((row.rule, row.pruned_fraction), {}).setdefault(row.stage, []).append(row)
    names = [entry.name for entry in fields(Row) if entry.type is float]
    return {
        key: {
            stage: {name: float(np.mean([getattr(row, name) for row in part])) for name in names}
            for stage, part in stages.items()
        }
        for key, stages in grouped.items()
    }


def table(rows):
    """Return the text of the means, one line a rule and fraction."""
    head = f"{'':10} {'pruned':>8}  " + "  ".join(
        f"{stage + ': accuracy':>19} {'on test':>8} {'attained':>9} {'certified':>10}" for stage in STAGES
    )
    lines = [head]
    for (rule, fraction), stages in means(rows).items():
        cells = (
            f"{m['accuracy']:19.3f} {m['test_gap']:8.2f} {m['gap_lower']:9.1f} {m['gap_upper']:10.1f}"
            for m in stages.values()
        )
        lines.append(f"{rule:10} {fraction:8.0%}  " + "  ".join(cells))
    return "\n".join(lines)


def write(rows, plan, folder):
    """Write lottery.json and lottery.csv."""
    described = {"widths": WIDTHS, **asdict(plan)}
    plain = [asdict(row) for row in rows]
    (folder / "lottery.json").write_text(json.dumps({"plan": described, "rows": plain}, indent=1) + "\n")
    with (folder / "lottery.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(plain[0]))
        writer.writeheader()
        writer.writerows(plain)


def main(folder):
    from lottery_figure import draw

    plan = Plan()
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for seed in plan.seeds for row in studied(plan, seed, told=lambda line: print(line, file=sys.stderr))]
    write(rows, plan, folder)
    draw(means(rows), folder / "lottery.svg")
    whole = np.mean([row.target_accuracy for row in rows])
    print(f"means over {len(plan.seeds)} seeds; test accuracy of the whole networks {whole:.3f}")
    print(f"sup of their output over the unit ball: at least {np.mean([row.output_norm for row in rows]):.1f}")
    print("on test: largest output change over the test images; attained <= sup over the unit ball <= certified")
    print(table(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
