"""Commands about the tenants of a running `up`: tenants, why, wake, suspend, logs."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from .admin_client import ask
from .options import Admin, AsJson, TenantName
from .running import the_one_running


def list_tenants(admin: Admin = None, as_json: AsJson = False) -> None:
    """List the tenants and what their gateways are doing."""
    report = ask(the_one_running(admin), "GET", "tenants")
    if as_json:
        _print_json(report)
        return
    table = Table("TENANT", "STATE", "SINCE", "RUNTIME", "CONNECTIONS", "WHY", box=None, header_style="bold")
    for one in report["tenants"]:
        table.add_row(
            one["name"], one["state"], _ago(one["since"]), one["runtime"], str(one["connections"]), one["reason"] or ""
        )
    Console().print(table)
    for problem in report["problems"]:
        typer.echo(f"problem: {problem}", err=True)


def why(tenant: TenantName, admin: Admin = None, as_json: AsJson = False) -> None:
    """Say why a tenant is awake, asleep or failing, and what its last wake cost."""
    one = ask(the_one_running(admin), "GET", "tenants", tenant)
    if as_json:
        _print_json(one)
        return
    typer.echo(f"{one['name']} is {one['state']} since {_ago(one['since'])}: {one['reason']}")
    typer.echo(
        f"  runtime {one['runtime']}, {one['connections']} connections ({one['parked']} parked), "
        f"may sleep after {one['idleTimeout']:g} s idle"
    )
    if one["next"]:
        typer.echo(f"  next: {one['next']}")
    if one["lastRequest"]:
        typer.echo(f"  last real request {_ago(one['lastRequest'])}")
    if one["lastWake"]:
        phases = {phase: one["lastWake"][phase] for phase in ("prepared", "launched", "ready")}
        told = ", ".join(
            f"{phase} after {seconds * 1000:.0f} ms" for phase, seconds in phases.items() if seconds is not None
        )
        typer.echo(f"  last wake {_ago(one['lastWake']['askedAt'])}: {told}")
    if one["lastFailure"]:
        typer.echo(f"  last failure {_ago(one['lastFailure']['at'])}: {one['lastFailure']['text']}")
    if one["problem"]:
        typer.echo(f"  problem: {one['problem']}")


def wake(tenant: TenantName, admin: Admin = None, as_json: AsJson = False) -> None:
    """Wake a tenant's gateway and wait until it answers."""
    began = time.monotonic()
    one = ask(the_one_running(admin), "POST", "tenants", tenant, "wake")
    if as_json:
        _print_json(one)
        return
    typer.echo(f"{tenant} is awake ({time.monotonic() - began:.2f} s)")


def suspend(tenant: TenantName, admin: Admin = None, as_json: AsJson = False) -> None:
    """Put a tenant's gateway to sleep now, and wait until it is. The next request wakes it again."""
    one = ask(the_one_running(admin), "POST", "tenants", tenant, "suspend")
    if as_json:
        _print_json(one)
        return
    typer.echo(f"{tenant} is {one['state']}")


def logs(
    tenant: TenantName,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=10_000, help="Lines from the end.")] = 100,
    admin: Admin = None,
    as_json: AsJson = False,
) -> None:
    """Print the end of a gateway's log."""
    report = ask(the_one_running(admin), "GET", "tenants", tenant, "logs", query=f"lines={lines}")
    if as_json:
        _print_json(report)
        return
    for line in report["lines"]:
        typer.echo(line)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def _ago(when: float | None) -> str:
    if not when:
        return "-"
    seconds = max(0, int(time.time() - when))
    if seconds < 120:
        return f"{seconds} s ago"
    return f"{seconds // 60} min ago" if seconds < 7200 else f"{seconds // 3600} h ago"
