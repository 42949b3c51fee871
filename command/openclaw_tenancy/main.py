"""The command `openclaw-tenancy`: one file a group of subcommands, put together here."""

from __future__ import annotations

import sys

import typer

from . import init, runtime, tenants, token, up
from .errors import CommandError
from .transfer import commands as transfer

app = typer.Typer(
    name="openclaw-tenancy",
    help="One OpenClaw per user, asleep until somebody talks to it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("init")(init.init)
app.command("tenants")(tenants.list_tenants)
app.command("why")(tenants.why)
app.command("wake")(tenants.wake)
app.command("suspend")(tenants.suspend)
app.command("logs")(tenants.logs)
app.command("import")(transfer.import_state)
app.command("export")(transfer.export)
app.add_typer(token.app, name="token")
app.add_typer(runtime.app, name="runtime")


def main() -> None:
    """Run the command; an error of the user's is one line on stderr and exit code 1."""
    try:
        app()
    except CommandError as error:
        print(f"openclaw-tenancy: {error}", file=sys.stderr)
        sys.exit(1)
