"""Where the workers of a study run off this machine: settings that change no number and belong to no result."""

import re
from dataclasses import dataclass, fields

from simprune.model.errors import InputError

_WALLTIME = re.compile(r"(?:(\d{1,3})-)?(\d{1,4}):([0-5]?\d)(?::([0-5]?\d))?")
_MEMORY = re.compile(r"(\d{1,9}(?:\.\d{1,3})?) ?([KMGT])(i?)B")
_POWER = {"K": 1, "M": 2, "G": 3, "T": 4}
MIN_WALLTIME = 60
CERTIFICATES = ("ca_file", "cert_file", "key_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The ``[cluster]`` table: how SLURM jobs are asked for, and certificates for a ``tls://`` scheduler.

    None leaves a setting to the user's own Dask configuration, or to what SLURM does by itself. A job is one worker on
    one processor. ``prologue`` holds shell commands that every job runs first, ``directives`` further sbatch options.
    """

    jobs: int | None = None
    queue: str | None = None
    account: str | None = None
    walltime: str | None = None
    memory: str | None = None
    interface: str | None = None
    prologue: tuple[str, ...] = ()
    directives: tuple[str, ...] = ()
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def __post_init__(self) -> None:
        if self.jobs is not None and not 1 <= self.jobs <= 100_000:
            raise InputError(f"jobs must lie in 1..100000, got {self.jobs}; it is the number of SLURM jobs, a worker each")
        for field in fields(self):
            value = getattr(self, field.name)
            for line in value if isinstance(value, tuple) else (value,):
                if isinstance(line, str) and not (line.strip() and line.isprintable()):
                    raise InputError(
                        f"{field.name} must be one line of text, got {line!r}; write it without control characters"
                    )
        for name in ("queue", "account", "interface"):
            value = getattr(self, name)
            if value is not None and not re.fullmatch(r"[\w.,:+@%-]+", value):
                raise InputError(f"{name} must be a plain name, got '{value}'; take out spaces and special characters")
        if self.walltime_seconds is not None and self.walltime_seconds < MIN_WALLTIME:
            raise InputError(
                f"walltime must be at least a minute, got '{self.walltime}'; workers need time to start and to end"
            )
        if self.memory is not None:
            self.memory_bytes  # noqa: B018
        given = [name for name in CERTIFICATES if getattr(self, name) is not None]
        if given and len(given) < len(CERTIFICATES):
            raise InputError(
                f"{', '.join(CERTIFICATES)} must be given together, got {', '.join(given)} alone; add the others"
            )

    @property
    def walltime_seconds(self) -> int | None:
        """Seconds of ``walltime``, which is written as SLURM does: hours:minutes[:seconds], perhaps after days-.

        >>> Cluster(walltime="1-02:30:00").walltime_seconds
        95400
        """
        if self.walltime is None:
            return None
        match = _WALLTIME.fullmatch(self.walltime)
        if match is None:
            raise InputError(f"walltime must be hours:minutes:seconds, got '{self.walltime}'; e.g. 04:00:00, or 2-00:00:00")
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return ((24 * days + hours) * 60 + minutes) * 60 + seconds

    @property
    def memory_bytes(self) -> int | None:
        """Bytes of ``memory``.

        >>> Cluster(memory="1.5 GB").memory_bytes, Cluster(memory="2GiB").memory_bytes
        (1500000000, 2147483648)
        """
        if self.memory is None:
            return None
        match = _MEMORY.fullmatch(self.memory)
        if match is None or float(match[1]) <= 0.0:
            raise InputError(f"memory must be a size with its unit, got '{self.memory}'; e.g. 2GB, of one worker")
        unit: int = (1024 if match[3] else 1000) ** _POWER[match[2]]
        return round(float(match[1]) * unit)
