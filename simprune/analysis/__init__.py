"""Offline analysis of stored trials: ``summarize(results)``, ``render(summary)``, ``to_json(summary)``.

``compare.compare(a, b)`` pairs trials of two points, ``report_comparison.render_comparison`` tells the result.
"""

from simprune.analysis.json_form import to_json
from simprune.analysis.report import render
from simprune.analysis.summarize import summarize
from simprune.analysis.summary import Summary

__all__ = ["Summary", "render", "summarize", "to_json"]
