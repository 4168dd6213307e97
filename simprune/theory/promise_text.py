"""The promise as text: one itemised table, what it comes from, and what it does not say."""

from itertools import groupby

from simprune.theory.bounds import Event
from simprune.theory.budget import Budget
from simprune.theory.promise import Promise


def promise_text(told: Promise) -> str:
    """Return the itemised table as lines of at most about 120 columns.

    >>> from simprune.model import activations, distributions, network, pruning
    >>> target = network.SampledTarget(distribution=distributions.Uniform())
    >>> net = network.NetworkSpec(widths=(64,) * 3, activation=activations.ReLU(), target=target)
    >>> from simprune.theory.promise import promise
    >>> print(promise_text(promise(net, pruning.MagnitudePruning(alpha=0.5), delta=0.05)).splitlines()[0])
    gap <= 0.01306 with probability 0.95 over the random weights
    """
    parts = (_head(told), _layers(told), _events(told), [*_widths(told), *_counts(told), *_notes(told)])
    return "\n\n".join("\n".join(part) for part in parts)


def _head(told: Promise) -> list[str]:
    bound = told.bound
    verdict = ""
    if bound.is_vacuous:
        verdict = f"\nVACUOUS: any two such networks differ by at most {bound.largest_gap:.4g} with that probability"
    lines = [f"gap <= {bound.gap:.4g} with probability {1 - bound.delta:g} over the random weights{verdict}"]
    lines.append(
        f"  beside it: sup ||F|| <= {bound.output_norm:.4g}, sup ||F|| + sup ||f|| <= {bound.largest_gap:.4g} (each with "
        "the same probability)"
    )
    if told.elementary is not None:
        lines.append(f"  closed form (for all larger widths too): gap <= {told.elementary:.4g}")
    if told.typical is not None:
        lines.append(f"  typical gap, root mean square over inputs (first order, not a bound): {told.typical:.4g}")
    return lines


def _layers(told: Promise) -> list[str]:
    bound, network = told.bound, told.network
    lines = [f"  {'layer':<14} {'pruned':>14} {'share':>9} {'||W*|| <=':>11} {'||W|| <=':>11} {'||Delta|| <=':>13}  by"]
    moved = [event.bound.method for event in bound.events if event.quantity == "||Delta||"]
    for i, shape in enumerate(network.weight_shapes):
        k, n = bound.n_pruned[i], network.n_weights[i]
        lines.append(
            f"  {' x '.join(map(str, shape)):<14} {k:>14} {k / n:>9.3g} {bound.target_norms[i]:>11.4g} "
            f"{bound.pruned_norms[i]:>11.4g} {bound.delta_norms[i]:>13.4g}  {moved[i]}"
        )
    return lines


def _events(told: Promise) -> list[str]:
    bound = told.bound
    lines = [f"failure budget: delta = {bound.delta:g} = {len(bound.events)} events x {bound.event_delta:.3g} (union bound)"]
    for quantity, group in groupby(bound.events, key=lambda event: event.quantity):
        events = list(group)
        layers = ", ".join(str(event.layer + 1) for event in events)
        lines.append(f"  {quantity:<9} layers {layers}: {len(events) * bound.event_delta:.3g}{_split(events)}")
    return lines


def _split(events: list[Event]) -> str:
    splits = {event.bound.candidates[0].budget for event in events} - {"all of it"}
    return f" (each: {'; '.join(sorted(splits))})" if splits else ""


def _widths(told: Promise) -> list[str]:
    width = told.width
    if width is None:
        return []
    found = f"none up to {width.scanned}" if width.width is None else str(width.width)
    lines = [
        f"minimal width for gap <= {told.epsilon:g}: {found} ({width.grows}, scanned to {width.scanned}); "
        f"asked: {'-'.join(str(w) for w in told.network.widths)}"
    ]
    if width.proved_from is not None:
        lines.append(f"  proved for every width from {width.proved_from} on (closed form)")
    if told.elementary_width is not None:
        lines.append(f"  the one-line condition holds from d = {told.elementary_width} on (powers of two)")
    return lines


def _counts(told: Promise) -> list[str]:
    counts = told.counts
    if counts is None:
        return []
    total = sum(told.network.n_weights)
    lines = [f"weights that may go for gap <= {counts.epsilon:g} with probability {1 - counts.delta:g} (certified):"]
    for name, found in _allocations(counts):
        if name == "alone":
            lines.append(f"  one layer at a time: {', '.join(str(k) for k in found)}")
        else:
            share = f"{sum(found)} of {total}"
            lines.append(f"  {name}: {', '.join(str(k) for k in found)} (together {share})")
    return lines


def _allocations(counts: Budget) -> list[tuple[str, tuple[int, ...]]]:
    return [
        ("alone", counts.alone),
        ("best allocation", counts.best),
        ("equal pruned fraction", counts.equal_fraction),
        ("equal share of epsilon", counts.equal_share),
    ]


def _notes(told: Promise) -> list[str]:
    known = told.exponents
    theorem = "makes no claim" if known.theorem1 is None else f"asks for {known.theorem1:g}"
    sharp = "unknown" if known.sharp is None else f"{known.sharp:g}"
    notes = [f"exponent of 1/d, {told.grows} growing: Theorem 1 {theorem}, sharp {sharp} ({known.regime})"]
    if told.network.activation.value_at_zero:
        notes.append("s(0) != 0: the bounds carry a term sqrt(d); the theorem's rate needs s(0) = 0 or a fixed output width")
    if told.curves:
        names = ", ".join(f"{curve.name} {curve.value:.3g}" for curve in told.curves)
        notes.append(f"comparison curves of ||Delta_1||, NOT bounds: {names}")
    notes.append("constants: this project's own, proved; the paper publishes none")
    return notes
