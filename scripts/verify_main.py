"""All sections of the verification, or those named on the command line."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing

import verify_assumptions
import verify_coverage
import verify_exponents
import verify_gaps
import verify_norms
import verify_offset
import verify_order
import verify_typical
import verify_widths
from verify_checks import Check, verdict
from verify_session import Session

SECTIONS: dict[str, tuple[Callable[[Session], list[Check]], ...]] = {
    "norms": (verify_norms.norms,),
    "gaps": (verify_gaps.gaps, verify_coverage.coverage),
    "widths": (verify_widths.widths, verify_widths.promises),
    "exponents": (verify_exponents.square, verify_exponents.fixed_ends, verify_exponents.constant_fraction),
    "order": (verify_order.thresholds, verify_order.subsets, verify_typical.typical),
    "assumptions": (verify_assumptions.alarms, verify_assumptions.power),
    "offset": (verify_offset.two_layers, verify_offset.growth),
}


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/verify", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"among {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sample sizes")
    parser.add_argument("--largest", type=int, default=1 << 40, metavar="D", help="leave out wider layers")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"sections must be among {', '.join(SECTIONS)}, got {', '.join(unknown)}")
    if not 0.0 < options.scale <= 100.0:
        parser.error(f"--scale must lie in (0, 100], got {options.scale:g}")
    if options.largest < 128:
        parser.error(f"--largest must be at least 128, got {options.largest}")
    if options.workers < 1:
        parser.error(f"--workers must be at least 1, got {options.workers}")
    if not 0 <= options.seed < 1 << 32:
        parser.error(f"--seed must lie in 0..2^32-1, got {options.seed}")
    return options


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    session = Session(scale=options.scale, largest=options.largest, workers=options.workers, seed=options.seed)
    print(f"scale {session.scale:g}, seed {session.seed}; K = 1 and float32 weights unless said otherwise")
    verdicts = []
    with closing(session):
        for name in options.sections or SECTIONS:
            started = time.perf_counter()
            checks = [check for part in SECTIONS[name] for check in part(session)]
            verdicts.append(verdict(name, checks))
            print(f"\n{verdicts[-1].text()} [{time.perf_counter() - started:.0f} s]", flush=True)
    passed = sum(found.passed for found in verdicts)
    print(f"\n{passed} of {len(verdicts)} sections pass")
    return 0 if passed == len(verdicts) else 1


def run(arguments: list[str]) -> int:
    try:
        return main(arguments)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
