"""`openclaw-tenancy token`: tokens of tenants, of which only the hashes are kept."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tenant_api.token_edit import TokenEditError
from tenant_api.token_files import issue_token, revoke_token

from .errors import CommandError
from .options import AsJson, TenantName
from .running import running

app = typer.Typer(help="Tokens of tenants.", no_args_is_help=True)
Directory = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help="Folder of the Tenant files; that of the running `up` by default."),
]


@app.command("new")
def new(
    tenant: TenantName,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name of the token, such as the device it is for; made up when left out."),
    ] = None,
    expires_at: Annotated[
        datetime | None,
        typer.Option("--expires-at", help="When it stops working (UTC).", metavar="YYYY-MM-DD[THH:MM:SS]"),
    ] = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Make a token for a tenant, print it once, and write its hash into the tenant's file."""
    name = name or f"token-{secrets.token_hex(3)}"
    until = None if expires_at is None else expires_at.replace(tzinfo=UTC)
    try:
        issued = issue_token(_directory(directory), tenant, name, until)
    except TokenEditError as error:
        raise CommandError(str(error)) from None
    if as_json:
        typer.echo(json.dumps({"tenant": tenant, "name": name, "token": issued.token, "file": str(issued.file)}))
        return
    typer.echo(issued.token)
    typer.echo(f"Shown only now; {issued.file} has its hash as {name!r}. A running `up` takes it at once.", err=True)


@app.command("revoke")
def revoke(
    tenant: TenantName,
    name: Annotated[str, typer.Argument(help="Name of the token.")],
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Remove a token from a tenant's file; a running `up` closes its connections."""
    try:
        path = revoke_token(_directory(directory), tenant, name)
    except TokenEditError as error:
        raise CommandError(str(error)) from None
    if as_json:
        typer.echo(json.dumps({"tenant": tenant, "name": name, "file": str(path)}))
        return
    typer.echo(f"{name!r} is no token of {tenant} any more ({path})")


def _directory(given: Path | None) -> Path:
    if given is not None:
        return given
    found = running()
    if len(found) == 1:
        return Path(found[0].directory)
    raise CommandError("say which folder has the Tenant files: --dir DIR")
