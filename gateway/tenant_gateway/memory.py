"""Memory given back to the machine."""

from functools import cache
from typing import Any


@cache
def _libc() -> Any:
    import ctypes

    try:
        library = ctypes.CDLL("libc.so.6")
        library.malloc_trim.argtypes = [ctypes.c_size_t]
    except (OSError, AttributeError):  # not glibc
        return None
    return library


def trim() -> None:
    """Return freed heap pages to the kernel (glibc's `malloc_trim`); nothing where there is no such function."""
    library = _libc()
    if library is not None:
        library.malloc_trim(0)
