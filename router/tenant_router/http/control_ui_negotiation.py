"""What a browser takes and what it has already: `Accept`, `Accept-Encoding`, conditional requests. Pure functions.

They decide as upstream's gateway decides (`http-media-range`, `http-content-encoding`, `http-conditional`), because a
page that loads from a gateway must load the same way from the router.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from email.utils import parsedate_to_datetime

_QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
"""RFC 9110 section 12.4.2."""


def accepts_html(accept: str) -> bool:
    """Tell whether an `Accept` header permits an HTML document; an empty one does. `*/*` does, `application/json` not."""
    if not accept.strip():
        return True
    return (
        _quality(accept, "text/html", wildcards=True) > 0
        or _quality(accept, "application/xhtml+xml", wildcards=False) > 0
    )


def _quality(accept: str, wanted: str, *, wildcards: bool) -> float:
    """Return the quality of the most specific range that matches; among equals the highest."""
    best, quality = (-1, -1), 0.0
    for entry in accept.split(","):
        name, _, rest = entry.strip().lower().partition(";")
        parameters = [part.strip() for part in rest.split(";") if part.strip()]
        name = name.strip()
        if name == wanted:
            specificity = 2
        elif wildcards and name in (wanted.split("/")[0] + "/*", "*/*"):
            specificity = 0 if name == "*/*" else 1
        else:
            continue
        named = [part for part in parameters if not part.startswith("q=")]
        weights = [part[2:] for part in parameters if part.startswith("q=")]
        if any(part != "charset=utf-8" for part in named) or any(not _QUALITY.fullmatch(weight) for weight in weights):
            continue
        value = float(weights[0]) if weights else 1.0
        rank = (specificity, len(named))
        if rank > best:
            best, quality = rank, value
        elif rank == best:
            quality = max(quality, value)
    return quality


def content_encodings(accept_encoding: str, available: Collection[str]) -> list[str]:
    """Return what may be sent, best first: of `available` and `identity`. Empty: nothing is acceptable (406).

    At equal quality br comes before gzip before identity, as upstream prefers them.
    """
    if not accept_encoding.strip():
        return ["identity"]
    qualities: dict[str, float] = {}
    for entry in accept_encoding.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        if name:
            weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
            value = float(weight) if _QUALITY.fullmatch(weight) else 0.0
            qualities[name] = max(qualities.get(name, 0.0), value)
    anything = qualities.get("*")

    def quality(name: str) -> float:
        if name == "identity":
            return qualities.get(name, 0.0 if anything == 0 else 1.0)
        return qualities.get(name, anything or 0.0)

    offered = [name for name in ("br", "gzip", "identity") if name == "identity" or name in available]
    return sorted((name for name in offered if quality(name) > 0), key=quality, reverse=True)


def unmodified(if_none_match: str | None, if_modified_since: str | None, last_modified: int) -> bool:
    """Tell whether 304 is the answer. There are no entity tags, so only `*` matches in `If-None-Match`.

    Parameters
    ----------
    last_modified
        Seconds since the epoch.
    """
    if if_none_match is not None:
        return if_none_match.strip() == "*"
    if if_modified_since is None:
        return False
    try:
        return last_modified <= parsedate_to_datetime(if_modified_since).timestamp()
    except ValueError:
        return False  # RFC 9110 section 13.1.3: a date that can't be read is ignored
