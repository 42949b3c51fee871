"""The Control UI's static files, from upstream's package: a page load wakes nobody."""

from __future__ import annotations

from pathlib import Path

from fastapi.responses import FileResponse, Response


class ControlUi:
    """Serves the files under one folder, and its index for paths that the single-page app owns."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def response(self, path: str, method: str) -> Response | None:
        """Return the file for a path, the index for a page of the app, or None when the path is not the UI's."""
        found = (self._root / path.lstrip("/")).resolve()
        if not found.is_relative_to(self._root):
            return None
        if not found.is_file():
            if "." in path.rsplit("/", 1)[-1] or path.startswith(("v1/", "__openclaw", "tools/", "api/")):
                return None
            found = self._root / "index.html"
        return FileResponse(found)
