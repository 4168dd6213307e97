"""The report's table of adaptive stopping: why each point has as many trials as it has."""

from simprune.analysis.layout import Arrangement, section, table
from simprune.analysis.report_gaps import Row, point_rows
from simprune.analysis.summary import PointSummary, Summary
from simprune.analysis.wording import number


def stopping_section(summary: Summary, arrangement: Arrangement) -> str:
    """Return the table, nothing for a run with fixed numbers of trials."""
    if not summary.stops:
        return ""
    found = {stop.digest: stop for stop in summary.stops}

    def cells(point: PointSummary) -> list[Row]:
        stop = found.get(point.digest)
        if stop is None:
            return [[str(point.trials), "", "open: the run was interrupted"]]
        return [[str(stop.trials), f"[{number(stop.low)}, {number(stop.high)}]", stop.reason]]

    explained = (
        "Trials of each point when it had enough, the interval of the watched quantity then, and why. These intervals hold "
        "at all looks together (confidence sequences). The intervals of the other tables are made for a number of trials "
        "that is fixed beforehand: where a point stopped early they are descriptive."
    )
    return section(
        "10. Adaptive stopping",
        explained,
        table([arrangement.label, "trials", "interval", "why"], point_rows(summary, arrangement, cells)),
    )
