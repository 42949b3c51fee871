"""`python -m tenant_gateway.pod`: serve one tenant in a pod, whose config is mounted from a Secret.

A Secret's volume changes by swapping a symlink, and its files cannot be written. So the config is copied to the real file
that OPENCLAW_CONFIG_PATH names, at the start and again whenever OPENCLAW_CONFIG_SOURCE changes; from there on an edit
reaches the gateway as on one machine.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tenant_gateway.lean import import_lean

if TYPE_CHECKING:
    from tenant_gateway.config.watch import Stamp

SOURCE: Final = "OPENCLAW_CONFIG_SOURCE"
TARGET: Final = "OPENCLAW_CONFIG_PATH"

_INTERVAL: Final = 1.0
"""Seconds between two looks at the source. The kubelet itself takes up to a minute to bring a changed Secret."""

_EXIT_CONFIG: Final = 78
"""sysexits' EX_CONFIG: no restart mends it."""

_log: Final = logging.getLogger("tenant_gateway.pod")


def copy_config(source: Path, target: Path) -> bool:
    """Bring the source's bytes to the target in one step; tell whether it had others.

    A target that holds them already is left alone: upstream checks anew whatever file it has not seen (1.5 s of CPU).

    Raises
    ------
    OSError
        The source can't be read, or the target's folder not be written.
    """
    wanted = source.read_bytes()
    try:
        if target.read_bytes() == wanted:
            return False
    except FileNotFoundError:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(wanted)
            stream.flush()
            os.fsync(descriptor)
        draft.replace(target)
    except BaseException:
        draft.unlink()
        raise
    return True


def follow_config(source: Path, target: Path, seen: Stamp, stop: threading.Event) -> None:
    """Copy the source after each change, until `stop` is set. What can't be copied is told once and tried again."""
    from tenant_gateway.config.watch import stamp

    failed = False
    while not stop.wait(_INTERVAL):
        now = stamp(source)
        if now is None or now == seen:
            continue
        try:
            if copy_config(source, target):
                _log.info("took over the changed config %s", source)
            seen, failed = now, False
        except OSError as error:
            if not failed:
                _log.error("the changed config %s is not taken over: %s", source, error)
            failed = True


def main(environ: Mapping[str, str]) -> int:
    """Copy the config, serve until a signal ends it; returns the exit code."""
    if not environ.get(SOURCE) or not environ.get(TARGET):
        sys.stderr.write(f"{SOURCE} and {TARGET} must be set: the mounted file and the one that the gateway reads\n")
        return _EXIT_CONFIG
    from tenant_gateway.config.watch import stamp

    source, target = Path(environ[SOURCE]), Path(environ[TARGET])
    seen = stamp(source)
    try:
        if home := environ.get("HOME"):
            Path(home).mkdir(mode=0o700, parents=True, exist_ok=True)
        copy_config(source, target)
    except OSError as error:
        sys.stderr.write(f"the config {source} can't be copied to {target}: {error}\n")
        # A full volume must not lock its owner out: with the config of the last time he can delete something.
        if not target.exists() or seen is None:
            return _EXIT_CONFIG
    from tenant_gateway.process import main as serve

    stop = threading.Event()
    follower = threading.Thread(target=follow_config, args=(source, target, seen, stop), name="config")
    follower.start()
    try:
        return serve()
    finally:
        stop.set()
        follower.join()


if __name__ == "__main__":
    import_lean()
    sys.exit(main(os.environ))
