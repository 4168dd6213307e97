"""Assignment of whole contiguous arrays by plain loops; slices and array expressions compile several times longer."""

from simprune.backends.compile import inner


@inner
def copy(source, target):
    """Copy a contiguous array into another of its shape."""
    flat = target.reshape(-1)
    for i, value in enumerate(source.reshape(-1)):
        flat[i] = value


@inner
def clear(target):
    """Fill a contiguous array with 0."""
    flat = target.reshape(-1)
    for i in range(flat.size):
        flat[i] = 0
