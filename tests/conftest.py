"""Ctrl-C must reach the tests of stopping even where the whole run was started with SIGINT ignored (nohup, &)."""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
