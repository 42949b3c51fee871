"""The table of methods in docs/native-gateway.md: same, differs and why, not there. Made from the list of differences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from differences import DIFFERENCES, family

DOCUMENT = Path(__file__).parents[2] / "docs" / "native-gateway.md"
BEGIN, END = "<!-- contract: begin -->\n", "<!-- contract: end -->\n"


def decisions(native: Sequence[str]) -> dict[str, str]:
    """Return what is to be said of each method that is there: `same`, or why it differs."""
    told = {}
    for method in native:
        reasons = [difference.why for difference in DIFFERENCES if method in difference.methods]
        told[method] = "; ".join(reasons) or "same"
    return told


def render(native: Sequence[str], upstream: Sequence[str]) -> str:
    """Return the table for the methods of both."""
    told = decisions(["connect", *native])
    same = [method for method, text in told.items() if text == "same"]
    lines = ["| methods | beside upstream |", "|---|---|", f"| {_names(same)} | same |"]
    by_reason: dict[str, list[str]] = {}
    for method, text in told.items():
        if text != "same":
            by_reason.setdefault(text, []).append(method)
    lines += [f"| {_names(methods)} | differs: {text} |" for text, methods in by_reason.items()]
    missing: dict[str, list[str]] = {}
    for method in upstream:
        if method not in native:
            missing.setdefault(family(method), []).append(method)
    for why, methods in missing.items():
        grouped: dict[str, list[str]] = {}
        for method in methods:
            grouped.setdefault(method.partition(".")[0], []).append(method)
        names = ", ".join(
            f"`{name}.*` ({len(group)})" if len(group) > 1 else f"`{group[0]}`" for name, group in grouped.items()
        )
        lines.append(f"| {names} | not there: {why} |" if why != "not there" else f"| {names} | not there |")
    return "\n".join(lines) + "\n"


def _names(methods: Sequence[str]) -> str:
    return " ".join(f"`{method}`" for method in methods)


def written() -> str:
    """Return the table as the document has it."""
    text = DOCUMENT.read_text()
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)]


def write(table: str) -> None:
    """Put a table into the document."""
    text = DOCUMENT.read_text()
    DOCUMENT.write_text(text[: text.index(BEGIN) + len(BEGIN)] + table + text[text.index(END) :])
