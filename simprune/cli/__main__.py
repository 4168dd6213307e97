"""``python -m simprune.cli``."""

from simprune.cli import main

main()
