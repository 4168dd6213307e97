"""The report's table of thresholds against their exact law."""

from simprune.analysis.layout import Arrangement, arrange, section, table
from simprune.analysis.summary import Summary
from simprune.analysis.thresholds import ThresholdTest


def thresholds_section(summary: Summary) -> str:
    """Return the Kolmogorov-Smirnov tests of the thresholds, one row a point, the most suspicious layer shown."""
    title = "7. Order statistics: threshold |W|_(k+1) against its exact law, H(T) ~ Beta(k+1, D-k)"
    skipped = f"Not tested: {'; '.join(summary.no_thresholds)}." if summary.no_thresholds else ""
    if not summary.thresholds:
        return section(title, skipped or "No rows to test.")
    arrangement = arrange([p.point for p in summary.points])
    rejected = sum(test.rejected for test in summary.thresholds)
    n_tests = len(summary.thresholds)
    explained = (
        f"Kolmogorov-Smirnov, simultaneous over all {n_tests} tests (points x layers) by Holm's method: if the law holds, "
        f"the chance of any rejection is at most {summary.threshold_error:g}. Points on the same network share their "
        "targets, so tests of different alphas are dependent; Holm's method allows that. Rounding and the grid of 2^31 or "
        "2^53 random keys are allowed for. Each row shows the layer with the smallest p-value; the mean threshold over its "
        f"exact expectation has a pointwise normal interval. {skipped}"
    ).rstrip()
    tested = {test.point: test.n_rows for test in summary.thresholds}
    if any(n < summary.points[i].trials for i, n in tested.items()):
        explained += f" Of points with more rows the first {max(tested.values()):,} are tested."
    columns = [arrangement.label, "layer", "rows", "mean / expected [interval]", "KS statistic", "p", "Holm p", "verdict"]
    verdict = "the order statistics do NOT follow the law" if rejected else "nothing speaks against the law"
    body = table(columns, _threshold_rows(summary, arrangement))
    return section(title, explained, f"{body}\n\n  {rejected} of {n_tests} tests rejected: {verdict}.")


def _threshold_rows(summary: Summary, arrangement: Arrangement) -> list[tuple[str, list[list[str]]]]:
    worst: dict[int, ThresholdTest] = {}
    for test in summary.thresholds:
        if test.point not in worst or test.p_value < worst[test.point].p_value:
            worst[test.point] = test
    return [
        (group.heading, [_threshold_row(worst[i], label) for i, label in group.rows if i in worst])
        for group in arrangement.groups
    ]


def _threshold_row(test: ThresholdTest, label: str) -> list[str]:
    ratio, error = test.mean / test.expected_mean, 1.96 * test.standard_error / test.expected_mean
    mean = f"{ratio:.4f} [{ratio - error:.4f}, {ratio + error:.4f}]"
    told = "rejected" if test.rejected else "agrees"
    return [
        label,
        str(test.layer + 1),
        str(test.n_rows),
        mean,
        f"{test.statistic:.4f}",
        _p(test.p_value),
        _p(test.adjusted),
        told,
    ]


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"
