"""`openclaw-tenancy token`: tokens of tenants, of which only the hashes are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from tenant_api.token_files import TokenFileError, add_token, remove_token

from tenant_api.tokens import new_token

from .errors import CommandError
from .options import AsJson, TenantName
from .running import running

app = typer.Typer(help="Tokens of tenants.", no_args_is_help=True)
Directory = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help="Folder of the Tenant files; that of the running `up` by default."),
]
TokenName = Annotated[str | None, typer.Option("--name", help="Name of the token, such as the device it is for.")]


@app.command("new")
def new(tenant: TenantName, name: TokenName = None, directory: Directory = None, as_json: AsJson = False) -> None:
    """Make a token for a tenant, print it once, and write its hash into the tenant's file."""
    token = new_token()
    try:
        path, token_name = add_token(_directory(directory), tenant, token, name)
    except TokenFileError as error:
        raise CommandError(str(error)) from None
    if as_json:
        typer.echo(json.dumps({"tenant": tenant, "name": token_name, "token": token, "file": str(path)}))
        return
    typer.echo(token)
    typer.echo(f"Shown only now; {path} has its hash as {token_name!r}. A running `up` takes it at once.", err=True)


@app.command("revoke")
def revoke(
    tenant: TenantName,
    name: Annotated[str, typer.Argument(help="Name of the token.")],
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Remove a token from a tenant's file; a running `up` closes its connections."""
    try:
        path = remove_token(_directory(directory), tenant, name)
    except TokenFileError as error:
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
