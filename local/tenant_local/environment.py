"""The environment of a gateway: what is named, and nothing of the operator's own."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from tenant_api.template import EnvVar

from .layout import TenantPaths

_FROM_OPERATOR = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
"""What a gateway takes over: language and time zone, which tell nothing about anybody."""
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OURS = ("OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH", "OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PASSWORD")
"""What neither template nor credentials decide: where the data is, and who is let in (a token keeps upstream from starting)."""
HEAP_SHARE = 0.75
"""Share of the memory limit for Node's heap; upstream's own manifest has 1536 MiB of 2 GiB."""


_VARIABLE = re.compile(r"\$(\$?)\{([A-Z_][A-Z0-9_]*)\}")
"""Upstream's form: upper case only, `$${NAME}` stays as it is (docs/gateway/config-secrets-env.md)."""


class SecretMissing(Exception):
    """A variable comes from a secret that can't be had; the text says which and what to do, and shows no value."""


def build(
    paths: TenantPaths,
    template: list[EnvVar],
    credentials: Mapping[str, str],
    runtime: Mapping[str, str],
    secrets: Mapping[str, Mapping[str, str]],
    node_memory: int | None = None,
) -> dict[str, str]:
    """Return the whole environment of a gateway.

    Parameters
    ----------
    credentials
        The tenant's own secret.
    runtime
        What the runtime needs; wins over everything else.
    secrets
        Entries of each secret, by its name.
    node_memory
        Bytes that a gateway on Node may use, None: not on Node, or no limit.

    Raises
    ------
    SecretMissing
        A variable comes from a secret that can't be had.
    """
    env = {name: os.environ[name] for name in _FROM_OPERATOR if name in os.environ}
    env.setdefault("LANG", "C.UTF-8")
    python = str(Path(sys.base_prefix).resolve() / "bin")
    env["PATH"] = _SYSTEM_PATH if python in _SYSTEM_PATH.split(":") else f"{python}:{_SYSTEM_PATH}"
    for variable in template:
        env[variable.name] = _value(variable, secrets)
    env |= credentials
    for name in _OURS:
        env.pop(name, None)
    if node_memory is not None and "--max-old-space-size" not in env.get("NODE_OPTIONS", ""):
        megabytes = max(256, int(node_memory * HEAP_SHARE) >> 20)
        env["NODE_OPTIONS"] = f"{env.get('NODE_OPTIONS', '')} --max-old-space-size={megabytes}".strip()
    return env | {
        "HOME": str(paths.home),
        "TMPDIR": str(paths.tmp),
        "OPENCLAW_STATE_DIR": str(paths.state),
        "OPENCLAW_CONFIG_PATH": str(paths.config),
        **runtime,
    }


def require(config: object, env: Mapping[str, str], secret: str, path: str = "") -> None:
    """Check that what a rendered config takes from the environment (`${NAME}`) is there, as a gateway will.

    Parameters
    ----------
    secret
        Name of the tenant's own secret, where a value may be put; empty: it has none.

    Raises
    ------
    SecretMissing
        A variable has no value; the text names the config's field and where the value goes.
    """
    if isinstance(config, dict):
        for key, value in config.items():
            require(value, env, secret, f"{path}.{key}" if path else key)
    elif isinstance(config, list):
        for index, value in enumerate(config):
            require(value, env, secret, f"{path}[{index}]")
    elif isinstance(config, str) and "${" in config:
        for escaped, name in _VARIABLE.findall(config):
            if not escaped and not env.get(name):
                where = f"stringData of the Secret {secret!r}" if secret else "a Secret that spec.credentials names"
                raise SecretMissing(
                    f"the config's {path} is ${{{name}}}, which has no value: write {name} into {where} in the Tenant files"
                )


def _value(variable: EnvVar, secrets: Mapping[str, Mapping[str, str]]) -> str:
    if variable.value_from is None:
        return variable.value or ""
    reference = variable.value_from.secret_key_ref
    if reference is None:
        raise SecretMissing(
            f"env {variable.name}: there are no ConfigMaps on one machine; write its value, or secretKeyRef"
        )
    entries = secrets.get(reference.name)
    if entries is not None and reference.key in entries:
        return entries[reference.key]
    if reference.optional:
        return ""
    what = (
        f"key {reference.key!r} of secret {reference.name!r}" if entries is not None else f"secret {reference.name!r}"
    )
    raise SecretMissing(f"env {variable.name}: {what} does not exist: add it to the Tenant files")
