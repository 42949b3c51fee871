"""`apply_mask` of RFC 6455 section 5.3, by the library's C code where it was built: ten times as fast for half a kilobyte."""

from __future__ import annotations

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without a wheel
    from websockets.utils import apply_mask

__all__ = ["apply_mask"]
