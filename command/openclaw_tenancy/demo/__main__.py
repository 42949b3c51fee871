"""`make demo` and `python -m openclaw_tenancy.demo`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tenant_local.runtimes.openclaw_install import (
    InstallStep,
    OpenClawRuntime,
    RuntimeInstallError,
    default_cache_dir,
    install,
)

from .display import Display
from .machine import DemoFailed
from .story import tell


def main() -> int:
    """Tell the story; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="make demo", description="OpenClaw Tenancy on this machine, in a minute or two."
    )
    parser.add_argument("--native-only", action="store_true", help="do without upstream's OpenClaw")
    options = parser.parse_args()
    display = Display()
    runtime = None if options.native_only else _runtime(display)
    with tempfile.TemporaryDirectory(prefix="openclaw-tenancy-demo-") as folder:
        try:
            with display.showing():
                asyncio.run(tell(display, Path(folder), runtime))
        except DemoFailed as error:
            display.say(f"The demo failed: {error}", "bold red")
            return 1
        except KeyboardInterrupt:
            display.say("Stopped.")
            return 130
    return 0


def _runtime(display: Display) -> OpenClawRuntime | None:
    def progress(step: InstallStep) -> None:
        if step.done:
            size = f", {step.size / 1e6:.0f} MB" if step.size else ""
            display.say(f"{step.text}: {step.seconds:.0f} s{size}")

    try:
        return install(default_cache_dir(), progress)
    except RuntimeInstallError as error:
        display.say(f"Without upstream's OpenClaw, both tenants run natively. {error}", "yellow")
        return None


if __name__ == "__main__":
    sys.exit(main())
