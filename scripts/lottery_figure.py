"""The figure of lottery.py: accuracy, and the bracketed gap, against the pruned fraction."""

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

COLOURS = {"magnitude": "#1f6fb4", "random": "#d1661c"}
LINES = {"pruned": "-", "retrained": "--", "rewound": ":"}


def draw(means, path):
    """Draw the means of ``lottery.means`` into an SVG file; equal numbers give equal bytes."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "simprune", "font.size": 9, "svg.fonttype": "none"}):
        figure = Figure(figsize=(8.4, 3.6), layout="constrained")
        FigureCanvasSVG(figure)
        left, right = figure.subplots(1, 2)
        for rule, colour in COLOURS.items():
            fractions = [100.0 * fraction for name, fraction in means if name == rule]
            for stage, line in LINES.items():
                values = [stages[stage] for (name, _), stages in means.items() if name == rule]
                left.plot(fractions, [100.0 * v["accuracy"] for v in values], line, color=colour, marker="o", markersize=3)
                if stage != "rewound":
                    right.plot(fractions, [v["gap_lower"] for v in values], line, color=colour, marker="o", markersize=3)
                if stage == "pruned":
                    low, high = [v["gap_lower"] for v in values], [v["gap_upper"] for v in values]
                    right.fill_between(fractions, low, high, color=colour, alpha=0.15, linewidth=0)
        left.set(xlabel="pruned (% of every layer)", ylabel="test accuracy (%)", ylim=(0, 102))
        right.set(xlabel="pruned (% of every layer)", ylabel="gap to the trained network, unit ball", yscale="log")
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.3, linewidth=0.5)
        right.set_title("lines: attained; bands: attained to certified, before retraining", fontsize=8)
        rules = [Line2D([], [], color=colour, label=f"{rule} pruning") for rule, colour in COLOURS.items()]
        stages = [Line2D([], [], color="0.3", linestyle=line, label=stage) for stage, line in LINES.items()]
        left.legend(handles=[*rules, *stages], frameon=False, fontsize=8, loc="lower left")
        figure.savefig(path, format="svg", metadata={"Date": None})
