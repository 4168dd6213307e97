"""Merge a results folder into one file for xarray, h5py, MATLAB, Julia; the folder stays as it is."""

import os
import uuid
from contextlib import suppress
from pathlib import Path

from simprune.model.errors import InputError
from simprune.store.child import CRASHES, run_module
from simprune.store.errors import StoreError
from simprune.store.files import TEMPORARY, commit_file, storing
from simprune.store.results import open_source


def pack(path: str | Path, out: str | Path, *, overwrite: bool = False, trusted: bool = False) -> None:
    """Write the rows committed in the results folder ``path`` to the file ``out``.

    A process of its own writes a temporary file with the HDF5 library, reads it again and compares: that library may
    crash when a disk is full. Then the file gets its name. ``trusted`` as for ``open_results``.

    Raises:
        InputError: ``path`` is no results folder, or ``out`` exists and ``overwrite`` is false.
        StoreError: the file could not be written; everything is as before.

    """
    folder, target = Path(path), Path(out)
    if not folder.is_dir():
        raise InputError(f"pack must be given a results folder, {folder} is none; check the path")
    if target.is_dir() or (target.exists() and not overwrite):
        raise InputError(f"the packed file must be new, {target} exists; choose another name or ask to overwrite")
    if problems := open_source(folder, trusted=trusted).problems:
        raise StoreError(
            f"{folder} must be undamaged to be packed, got: {'; '.join(problems.values())}; "
            "run the design again to compute those trials again"
        )
    temporary = target.parent / f"{TEMPORARY}{uuid.uuid4().hex}.h5"
    try:
        _write_in_child(folder, temporary, target)
        with storing(target):
            _synchronise(temporary)
            commit_file(temporary, target, replace=overwrite)
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _write_in_child(folder: Path, temporary: Path, target: Path) -> None:
    with storing(target):
        ended = run_module("simprune.store.packing", [str(folder.resolve()), str(temporary.resolve())])
    if ended.code == 0:
        return
    why = ended.death or (ended.error.strip() or "no reason given").splitlines()[-1]
    if -ended.code in CRASHES:
        why += ", as it does on a full disk"
    raise StoreError(f"{target} could not be packed: {why}; mend that and pack again, the results folder is as it was")


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
