"""Ctrl-C must reach the tests of stopping even where the whole run was started with SIGINT ignored (nohup, &)."""

import signal

from tests.fault_matrix import pytest_collection_modifyitems, pytest_terminal_summary

__all__ = ["pytest_collection_modifyitems", "pytest_terminal_summary"]

signal.signal(signal.SIGINT, signal.default_int_handler)
