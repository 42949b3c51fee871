"""The log: lines for people on stderr, and JSON lines in a file, in upstream's form, for `logs.tail`."""

import logging
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

_MAX_FILE: Final = 2 * 1024 * 1024
"""Bytes of the file before it is begun anew; the one before is kept."""

_LEVELS: Final = {"DEBUG": 2, "INFO": 3, "WARNING": 4, "ERROR": 5, "CRITICAL": 6}


class JsonLines(logging.Handler):
    """Writes upstream's log lines (tslog): `0` names the part, `1` is the text, `_meta` has level and date."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; a full disk loses log lines and nothing else."""
        seconds = time.gmtime(record.created)
        date = f"{time.strftime('%Y-%m-%dT%H:%M:%S', seconds)}.{int(record.msecs):03d}Z"
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self._formatter.formatException(record.exc_info)
        level = record.levelname
        part = '{"subsystem":"gateway"}'
        line = {
            "0": part,
            "1": message,
            "_meta": {
                "runtime": "native",
                "date": date,
                "logLevelId": _LEVELS.get(level, 3),
                "logLevelName": "WARN" if level == "WARNING" else level,
                "name": part,
            },
            "time": date,
            "message": message,
        }
        try:
            self._file.write(msgspec.json.encode(line) + b"\n")
            self._file.flush()
            if self._file.tell() > _MAX_FILE:
                self._rotate()
        except (OSError, ValueError):
            self.handleError(record)

    def _rotate(self) -> None:
        self._file.close()
        self._path.replace(self._path.with_suffix(".log.1"))
        self._file = self._path.open("ab")


def configure_log(logger: logging.Logger) -> None:
    """Log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    # Nothing here runs in other threads or processes that a record would have to name.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.raiseExceptions = False
