"""`openclaw-tenancy runtime install openclaw`: upstream's gateway, from npm, into the cache."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from tenant_local.runtimes.openclaw_install import (
    InstallStep,
    RuntimeInstallError,
    default_cache_dir,
    install,
    installed,
)

from .errors import CommandError
from .options import AsJson

app = typer.Typer(help="The gateways that tenants run on.", no_args_is_help=True)


@app.command("install")
def install_runtime(
    name: Annotated[str, typer.Argument(help="Only `openclaw`: the native runtime is always there.")],
    as_json: AsJson = False,
) -> None:
    """Install a runtime, or do nothing when it is installed."""
    if name != "openclaw":
        raise CommandError(f"there is no runtime {name!r} to install; `openclaw` is the one, `native` is built in")
    console = Console(stderr=True, highlight=False)
    cache = default_cache_dir()
    try:
        with console.status("looking") as status:

            def progress(step: InstallStep) -> None:
                if step.done:
                    size = f", {step.size / 1e6:.0f} MB" if step.size else ""
                    console.print(f"  {step.text}: {step.seconds:.1f} s{size}")
                else:
                    status.update(f"{step.text} ({step.seconds:.0f} s)")

            runtime = installed(cache) or install(cache, progress)
    except RuntimeInstallError as error:
        raise CommandError(str(error)) from None
    if as_json:
        typer.echo(json.dumps({"runtime": name, "version": runtime.version, "entry": str(runtime.entry)}))
    else:
        typer.echo(f"openclaw {runtime.version} is installed in {runtime.entry.parent}")
