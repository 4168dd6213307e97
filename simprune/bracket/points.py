"""Single inputs in files: ``.npy`` arrays or text with numbers."""

import io
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from simprune.model.errors import InputError
from simprune.trained.files import checked_file, write_whole

MAX_BYTES = 1 << 28


def read_point(path: str | Path) -> npt.NDArray[np.float64]:
    """Return the numbers of a file, flat: an ``.npy`` array, or text with spaces, commas or line ends between."""
    path = checked_file(path, most_bytes=MAX_BYTES)
    data = path.read_bytes()
    try:
        point = (
            _array(data)
            if data.startswith(b"\x93NUMPY")
            else np.array(data.decode("ascii").replace(",", " ").split(), float)
        )
    except (ValueError, EOFError) as error:
        raise InputError(f"{path} must hold one input as an .npy array or as text, got neither ({error}); mend it") from None
    if not point.size or not np.isfinite(point).all():
        raise InputError(f"{path} must hold finite numbers, got {point.size} of which some are not; mend it")
    return point.astype(np.float64).ravel()


def check_name(path: str | Path) -> None:
    """Refuse a name that ``write_point`` does not write."""
    if Path(path).suffix != ".npy":
        raise InputError(f"an input is written as an .npy array, got {path}; end the name with .npy")


def write_point(path: str | Path, point: npt.NDArray[np.float64]) -> None:
    """Write an input as an ``.npy`` array."""
    check_name(path)
    image = io.BytesIO()
    np.lib.format.write_array(image, np.asarray(point, order="C"), allow_pickle=False)
    write_whole(path, image.getvalue())


def _text(data: bytes) -> npt.NDArray[np.float64]:
    return np.array([float(word) for word in data.decode("ascii").replace(",", " ").split()])


def _array(data: bytes) -> npt.NDArray[np.float64]:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    if dtype.hasobject or dtype.kind not in "fiu":
        raise ValueError(f"an array of {dtype}")
    if math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise ValueError(f"{len(data) - stream.tell()} bytes for shape {shape}")
    flat = np.frombuffer(data, dtype=dtype, offset=stream.tell())
    return np.asarray(flat.reshape(shape, order="F" if fortran else "C"), dtype=np.float64)
