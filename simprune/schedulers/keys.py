"""Encryption between machines: a key made for one run, or the certificates that the user names."""

import os
from pathlib import Path
from typing import Any

from distributed.security import Security

from simprune.design.cluster import CERTIFICATES, Cluster
from simprune.model.errors import InputError

FOLDER = "cluster"
_CERTIFICATE, _KEY = "certificate.pem", "key.pem"


def make_keys(folder: Path) -> Any:
    """Write a fresh self-signed certificate and its key into ``folder``, for nobody else to read, and return them."""
    try:
        made: Any = Security.temporary()  # type: ignore[no-untyped-call]
    except ImportError:
        raise InputError(
            "encryption between machines must have the package cryptography, it is not installed; install simprune[hpc]"
        ) from None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    # The key comes last: who sees it may read both.
    for name, text in ((_CERTIFICATE, made.tls_ca_file), (_KEY, made.tls_client_key)):
        temporary = folder / f".{name}"
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        temporary.rename(folder / name)
    return read_keys(folder)


def has_keys(folder: Path) -> bool:
    """Whether ``make_keys`` has finished in ``folder``."""
    return (folder / _KEY).exists()


def read_keys(folder: Path) -> Any:
    """Return what ``make_keys`` wrote, as paths that every machine of the run can read."""
    certificate, key = str((folder / _CERTIFICATE).resolve()), str((folder / _KEY).resolve())
    return _security(ca_file=certificate, cert_file=certificate, key_file=key)


def remove_keys(folder: Path) -> None:
    """Delete what ``make_keys`` wrote."""
    for name in (_CERTIFICATE, _KEY):
        (folder / name).unlink(missing_ok=True)


def certificates(cluster: Cluster) -> Any:
    """Return the certificates of the ``[cluster]`` table, or else of the user's Dask configuration.

    Raises:
        InputError: there are none, or a file is missing.

    """
    if cluster.ca_file is not None and cluster.cert_file is not None and cluster.key_file is not None:
        for name in CERTIFICATES:
            if not os.access(getattr(cluster, name), os.R_OK):
                raise InputError(f"{name} must be a readable file, got {getattr(cluster, name)}; check the path")
        return _security(ca_file=cluster.ca_file, cert_file=cluster.cert_file, key_file=cluster.key_file)
    configured: Any = Security(require_encryption=True)  # type: ignore[no-untyped-call]
    if not (configured.tls_ca_file and configured.tls_client_cert and configured.tls_client_key):
        raise InputError(
            f"a tls:// scheduler must be given certificates, got none; set {', '.join(CERTIFICATES)} under [cluster] in the "
            "design, or distributed.comm.tls in Dask's configuration"
        )
    return configured


def _security(*, ca_file: str, cert_file: str, key_file: str) -> Any:
    roles = ("client", "scheduler", "worker")
    pairs = {f"tls_{role}_cert": cert_file for role in roles} | {f"tls_{role}_key": key_file for role in roles}
    return Security(require_encryption=True, tls_ca_file=ca_file, **pairs)  # type: ignore[no-untyped-call]
