"""Imports that the start does not need, kept out of it.

`asyncio` takes `ssl` and `msgspec` takes `typing_extensions` when they can be had, and do without otherwise; the two
cost 50 ms of processor time and 7 MiB. A name that is None in `sys.modules` cannot be imported (docs.python.org,
`sys.modules`). Afterwards the names are free again: `tenant_gateway.providers.tls` imports `ssl` when it is needed.
"""

import sys
from typing import Final

_SPARED: Final = ("ssl", "typing_extensions")


def import_lean() -> None:
    """Import asyncio and msgspec without what they can do without. Call before anything else imports them."""
    spared = [name for name in _SPARED if name not in sys.modules]
    for name in spared:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import asyncio  # noqa: F401

        import msgspec  # noqa: F401
    finally:
        for name in spared:
            del sys.modules[name]
