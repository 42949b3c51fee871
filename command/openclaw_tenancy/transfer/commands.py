"""`openclaw-tenancy import STATE_DIR` and `openclaw-tenancy export TENANT`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from tenant_local.layout import DataLayout, TenantPaths

from ..errors import CommandError
from ..options import AsJson, TenantName
from ..running import running
from ..up import SHARED_DATA
from . import tenant_state, upstream
from .convert import convert, jsonl

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Where tenants' data is; that of the running `up` by default."),
]


def import_state(
    state_dir: Annotated[
        Path, typer.Argument(metavar="STATE_DIR", help="Upstream's state directory, such as ~/.openclaw.")
    ],
    tenant: Annotated[str, typer.Option("--tenant", metavar="TENANT", help="Who gets what is in it.")],
    workspace: Annotated[
        Path | None,
        typer.Option("--workspace", metavar="DIR", help="Its workspace, when it is not STATE_DIR/workspace."),
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take over an upstream user's sessions and workspace into a sleeping tenant of the native runtime."""
    paths = _tenant(data, tenant)
    source = workspace or state_dir / "workspace"
    if workspace is not None and not workspace.is_dir():
        raise CommandError(f"{workspace} is no folder")
    try:
        found = [convert(session) for session in upstream.read_sessions(state_dir.expanduser().absolute())]
        with tenant_state.owned(paths.state):
            taken = tenant_state.add_sessions(paths.state, found)
            if source.is_dir():
                taken.files = tenant_state.copy_workspace(source, _workspace(paths))
            # The native gateway keeps files that came with messages in the workspace, upstream beside it.
            if (media := state_dir / "media" / "inbound").is_dir():
                taken.files += tenant_state.copy_workspace(media, _workspace(paths) / "media" / "inbound")
    except upstream.NotUpstream as error:
        raise CommandError(str(error)) from None
    except tenant_state.NotNative as error:
        raise CommandError(str(error)) from None
    except tenant_state.InUse:
        raise CommandError(f"{tenant} is awake; put it to sleep first: openclaw-tenancy suspend {tenant}") from None
    left = upstream.other_agents(state_dir)
    if as_json:
        told = {"sessions": taken.sessions, "messages": taken.messages, "files": taken.files}
        typer.echo(json.dumps({"tenant": tenant, **told, "kept": taken.kept, "agentsLeftOut": left}))
        return
    typer.echo(f"{tenant} has {taken.sessions} sessions more, with {taken.messages} messages, and {taken.files} files")
    for key in taken.kept or ():
        typer.echo(f"  {key} has messages of its own and stayed as it is", err=True)
    for agent in left:
        typer.echo(f"  the agent {agent!r} is left out: a native gateway has one agent", err=True)


def export(
    tenant: TenantName,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="One file a session; all to standard output by default."),
    ] = None,
    data: Data = None,
) -> None:
    """Write a tenant's transcripts as JSONL, one line a message, in upstream's form. The tenant may be awake."""
    paths = _tenant(data, tenant)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    try:
        for session, entries in tenant_state.read_sessions(paths.state):
            lines = "".join(
                json.dumps(line, ensure_ascii=False) + "\n" for line in jsonl(session, entries, str(_workspace(paths)))
            )
            if output is None:
                typer.echo(lines, nl=False)
            else:
                name = re.sub(r"[^\w.-]+", "_", session.key.removeprefix("agent:main:"))
                (output / f"{name}.{session.session_id}.jsonl").write_text(lines)
    except tenant_state.NotNative as error:
        raise CommandError(str(error)) from None


def _tenant(data: Path | None, name: str) -> TenantPaths:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name):
        raise CommandError(f"{name!r} is no tenant's name")
    if data is None:
        found = running()
        data = Path(found[0].data) if len(found) == 1 else SHARED_DATA
    paths = DataLayout(data).tenant(name)
    if not paths.state.is_dir():
        raise CommandError(
            f"{paths.state} does not exist: wake the tenant once (openclaw-tenancy wake {name}), or name the data folder"
        )
    return paths


def _workspace(paths: TenantPaths) -> Path:
    try:
        defaults = json.loads(paths.config.read_text())["agents"]["defaults"]
    except (OSError, ValueError, KeyError, TypeError):
        defaults = {}
    return paths.state / str(defaults.get("workspace") or "workspace")
