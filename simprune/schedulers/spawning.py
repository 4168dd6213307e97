"""Worker processes that neither run the user's script again nor leave traces in this process."""

import os
import sys
from types import TracebackType
from typing import Any

from distributed import Nanny

from simprune.schedulers.devices import device_of, devices

ONE_THREAD = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
HASH_SEED = "PYTHONHASHSEED"


class SpawnGuard:
    """Hides where the main module came from while workers are spawned, and restores the environment afterwards.

    A spawned process imports the main module of its parent, which runs a script without a ``__main__`` guard again.
    May be entered several times at once, from one event loop.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._main: dict[str, Any] = {}
        self._environment: dict[str, str | None] = {}

    def __enter__(self) -> None:
        if self._depth == 0:
            main = vars(sys.modules["__main__"])
            self._main = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
            main["__spec__"] = None
            self._environment = {name: os.environ.get(name) for name in self._names()}
        self._depth += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._depth -= 1
        if self._depth == 0:
            vars(sys.modules["__main__"]).update(self._main)
            for name, value in self._environment.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

    @staticmethod
    def _names() -> tuple[str, ...]:
        return (*ONE_THREAD, HASH_SEED, "MALLOC_TRIM_THRESHOLD_")


def nanny_class(guard: SpawnGuard) -> type[Any]:
    """Return Dask's keeper of one worker process, spawning behind ``guard``: one thread for each library, one GPU."""

    class GuardedNanny(Nanny):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            own = {**ONE_THREAD, **device_of(kwargs.get("name"), devices())}
            self.pre_spawn_env.update(own)
            self.env.update(own)

        async def instantiate(self) -> Any:
            with guard:
                return await super().instantiate()

    return GuardedNanny
