"""The table of all mutants of the CUDA kernels and what caught them."""

import sys
import time
from collections.abc import Sequence

from simprune.backends.cuda_kernels import KERNELS
from tests.backends.interpreted import InterpretedDevice
from tests.ptx.mutants import MUTANTS
from tests.ptx.mutation import outcome
from tests.ptx.twins import STAGES


def main(words: Sequence[str]) -> int:
    """Print a table of all mutants, or of those whose names contain a word; return 1 if one survives."""
    chosen = [m for m in MUTANTS if not words or any(word in m.name for word in words)]
    if not chosen:
        names = ", ".join(m.name for m in MUTANTS)
        print(f"error: a word must be in the name of a mutant, got {' '.join(words)}; names: {names}", file=sys.stderr)
        return 2
    for stage in sorted({m.stage for m in chosen}):
        STAGES[stage](InterpretedDevice())
    print(f"{len(chosen)} mutants of {len(KERNELS)} kernels; unchanged, the kernels pass all stages they are tried on.")
    survivors = []
    for mutant in chosen:
        start = time.process_time()
        caught = outcome(mutant)
        survivors += [] if caught else [mutant.name]
        seconds = time.process_time() - start
        print(f"{mutant.name:52} {mutant.stage:22} {seconds:5.1f} s  {(caught or 'SURVIVED')[:90]}", flush=True)
    print(
        f"{len(chosen) - len(survivors)} of {len(chosen)} caught"
        + (f"; survived: {', '.join(survivors)}" if survivors else "")
    )
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
