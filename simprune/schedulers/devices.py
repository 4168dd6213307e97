"""Which GPU a worker process sees: workers of one machine take its devices in turn."""

import os
import re
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/gpus")
VISIBLE = "CUDA_VISIBLE_DEVICES"


def devices() -> tuple[str, ...]:
    """Return the devices that this process may hand out: those of CUDA_VISIBLE_DEVICES, else all that the driver lists."""
    if VISIBLE in os.environ:
        return tuple(name.strip() for name in os.environ[VISIBLE].split(",") if name.strip())
    return tuple(str(i) for i in range(len(list(DRIVER.glob("*")))))


def device_of(worker: object, seen: tuple[str, ...]) -> dict[str, str]:
    """Return the environment of the worker with this name, empty where there is nothing to choose.

    >>> device_of(3, ("0", "1"))
    {'CUDA_VISIBLE_DEVICES': '1'}
    >>> device_of("worker-4", ("0", "1")), device_of(3, ("0",))
    ({'CUDA_VISIBLE_DEVICES': '0'}, {})
    """
    number = re.search(r"(\d+)$", str(worker))
    if len(seen) < 2 or number is None:
        return {}
    return {VISIBLE: seen[int(number[1]) % len(seen)]}
