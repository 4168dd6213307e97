"""The rows of the fault matrix in README: which tests show them, and how long they took (``pytest -m fault``)."""

from collections import defaultdict

FAULT = "fault"


def pytest_collection_modifyitems(items):
    for item in items:
        for mark in item.iter_markers(FAULT):
            item.user_properties.extend((FAULT, row) for row in mark.args)


def pytest_terminal_summary(terminalreporter, config):
    """Print a line a row, if the fault matrix was asked for by its mark."""
    if config.getoption("markexpr") != FAULT:
        return
    outcomes, seconds = defaultdict(lambda: defaultdict(set)), defaultdict(float)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            for row in {row for name, row in report.user_properties if name == FAULT}:
                outcomes[row][outcome].add(report.nodeid)
                seconds[row] += report.duration
    terminalreporter.section("fault matrix")
    for row in sorted(outcomes):
        counted = ", ".join(f"{len(tests)} {outcome}" for outcome, tests in outcomes[row].items())
        terminalreporter.write_line(f"{row}: {counted} [{seconds[row]:.0f} s of tests]")
