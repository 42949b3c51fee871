"""A directory of YAML files to tenants and templates; what is wrong with one says where, and never hides another."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tenant_api.cross_checks import check_together
from tenant_api.documents import MAX_FILE_BYTES, split_documents
from tenant_api.loaded import FileError, Loaded, Origin
from tenant_api.resources import ParsedDocument, parse_documents

SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
"""Files that are read, as `kubectl apply -f DIR` does it: in the directory itself, not below it."""

MAX_FILES: Final = 10_000
"""Files of one directory."""

MAX_DOCUMENTS: Final = 20_000
"""Documents of one directory: a machine that serves so many tenants has outgrown this format."""


def load_directory(path: Path | str, previous: Loaded | None = None) -> Loaded:
    """Return what the YAML files of a directory (or one file) say.

    Files go by name, documents by place; of two resources with one name, or two tenants with one token, the first keeps it,
    except that whoever had it in `previous` keeps it before anybody else. Documents that have not changed since `previous`
    are not parsed again.

    Never raises for any content: what is wrong is in `errors`. What is wrong is left out of `tenants` and `templates`; see
    `Loaded.keeping` for running on with what was good before.
    """
    loader = _Loader(Path(path), previous)
    loader.read()
    return check_together(loader.loaded, previous)


def yaml_files(root: Path) -> list[Path]:
    """Return the files of a directory that are read, by name; a file stands for itself.

    Raises
    ------
    OSError
        The directory can't be read.
    """
    if root.is_file():
        return [root]
    with os.scandir(root) as entries:
        return sorted(
            Path(entry.path)
            for entry in entries
            if not entry.name.startswith(".") and Path(entry.name).suffix.lower() in SUFFIXES
        )


@dataclass(slots=True)
class _Loader:
    root: Path
    previous: Loaded | None
    loaded: Loaded = field(default_factory=Loaded)
    documents: int = 0

    def read(self) -> None:
        for file in self.files():
            text = self.text(file)
            if text is None:
                continue
            for line, part in split_documents(text):
                parsed = self.previous.parsed.get(part) if self.previous is not None else None
                if parsed is None:
                    parsed = tuple(parse_documents(part))
                self.loaded.parsed[part] = parsed
                for document in parsed:
                    self.documents += 1
                    if self.documents > MAX_DOCUMENTS:
                        message = f"the directory has more than {MAX_DOCUMENTS} documents"
                        self.error(file, message, "remove some files; this one is not read any further", line + 1)
                        return
                    self.add(file, line, document)

    def files(self) -> list[Path]:
        try:
            found = yaml_files(self.root)
        except OSError as error:
            self.error(self.root, f"can't be read: {error.strerror}", "name a directory with Tenant files")
            return []
        if len(found) > MAX_FILES:
            self.error(self.root, f"has more than {MAX_FILES} YAML files", "the others are not read")
        return found[:MAX_FILES]

    def text(self, file: Path) -> str | None:
        try:
            # Not blocking: somebody may have put a FIFO there.
            descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as stream:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    self.error(file, "is no regular file", "remove it")
                    return None
                data = stream.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return None  # gone since the directory was listed; a symlink to nothing is as good as gone
        except OSError as error:
            self.error(file, f"can't be read: {error.strerror}", "check its owner and mode")
            return None
        if len(data) > MAX_FILE_BYTES:
            self.error(file, f"has more than {MAX_FILE_BYTES} bytes", "split the file")
            return None
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
            self.error(file, "is no UTF-8 text", "save the file as UTF-8", line, column)
            return None

    def error(self, file: Path, message: str, hint: str, line: int | None = None, column: int | None = None) -> None:
        self.loaded.errors.append(FileError(str(file), message, hint=hint, line=line, column=column))

    def add(self, file: Path, line: int, document: ParsedDocument) -> None:
        origin = Origin(str(file), line, document)
        self.loaded.errors.extend(origin.errors())
        if document.resource is not None and not document.findings:
            self.loaded.origins.append(origin)
