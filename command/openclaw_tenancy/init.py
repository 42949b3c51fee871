"""`openclaw-tenancy init DIR`: a commented example to start from, with one tenant and its token."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from tenant_api.tokens import new_token, token_hex

from .errors import CommandError
from .options import AsJson


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make; it may exist when it is empty.")],
    as_json: AsJson = False,
) -> None:
    """Write a commented template and one tenant to start from; print the tenant's token, once."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise CommandError(f"{directory} is there and not empty; name a new folder")
    token = new_token()
    example = files(__package__).joinpath("example")
    volume = directory / "volumes" / "standard" / "workspace"
    try:
        volume.mkdir(parents=True)
        (directory / "standard.yaml").write_text(example.joinpath("standard.yaml").read_text("utf-8"), "utf-8")
        tenant = example.joinpath("alice.yaml").read_text("utf-8").replace("TOKEN_SHA256", token_hex(token))
        (directory / "alice.yaml").write_text(tenant, "utf-8")
        (volume / "AGENTS.md").write_text(example.joinpath("AGENTS.md").read_text("utf-8"), "utf-8")
        keys = directory / "keys.yaml"
        keys.touch(mode=0o600)
        keys.write_text(example.joinpath("keys.yaml").read_text("utf-8"), "utf-8")
    except OSError as error:
        raise CommandError(f"can't write {error.filename}: {error.strerror}") from None
    if as_json:
        typer.echo(json.dumps({"directory": str(directory), "tenant": "alice", "token": token}))
        return
    typer.echo(
        f"""Made {directory} with one template (standard) and one tenant (alice).

  1. Put your model provider's key into {keys}, and look at {directory / "standard.yaml"}.
  2. openclaw-tenancy up {directory}
  3. openclaw gateway call health --url ws://127.0.0.1:18789 --token {token}

alice's token is shown only here; the file has its hash. Another one: openclaw-tenancy token new alice --dir {directory}"""
    )
