"""The configuration: upstream's own keys in one JSON file, with `${NAME}` taken from the environment.

Only the keys that this runtime reads are checked; the others are kept as they are, since one template serves both runtimes.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

_VARIABLE: Final = re.compile(r"\$(\$?)\{([A-Z_][A-Z0-9_]*)\}")
"""Upstream's form: upper case only, `$${NAME}` stays as `${NAME}` (docs/gateway/config-secrets-env.md)."""

_AUTH_MODES: Final = ("trusted-proxy", "token", "password", "none")


class ConfigError(Exception):
    """A configuration that cannot be used: `path` of the key in dots, and what is wrong with it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


class Config:
    """A configuration that was read and checked. Immutable: an edit makes a new one."""

    __slots__ = ("digest", "parsed", "raw", "values")

    def __init__(self, raw: bytes, parsed: dict[str, Any], values: dict[str, Any]) -> None:
        self.raw = raw
        """The file as it is."""
        self.parsed = parsed
        """The file's JSON, variables not substituted: what `config.get` shows and `config.patch` edits."""
        self.values = values
        """The JSON with variables substituted: what the gateway works with. Holds secrets."""
        self.digest = hashlib.sha256(raw).digest()

    def get(self, path: str, default: Any = None) -> Any:
        """Return the value at a path in dots, such as `gateway.auth.mode`; the default for one that is missing or null."""
        value: Any = self.values
        for name in path.split("."):
            if not isinstance(value, dict):
                return default
            value = value.get(name)
        return default if value is None else value

    def table(self, path: str) -> dict[str, Any]:
        """Return the object at a path; an empty one when there is none."""
        value = self.get(path)
        return value if isinstance(value, dict) else {}

    def text(self, path: str, default: str = "") -> str:
        """Return the string at a path."""
        value = self.get(path)
        return value if isinstance(value, str) else default

    def texts(self, path: str) -> tuple[str, ...]:
        """Return the strings of the list at a path."""
        value = self.get(path)
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()

    def number(self, path: str, default: int) -> int:
        """Return the whole number at a path."""
        value = self.get(path)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def flag(self, path: str, default: bool) -> bool:
        """Return the boolean at a path."""
        value = self.get(path)
        return value if isinstance(value, bool) else default

    def hash(self, key: bytes) -> str:
        """Return upstream's form of a configuration hash; keyed, so that it tells nothing about the secrets inside."""
        import base64

        mac = hmac.digest(key, self.digest, "sha256")
        return "hmac-sha256:v1:" + base64.urlsafe_b64encode(mac).decode().rstrip("=")


def read_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Read and check a file.

    Raises:
        ConfigError: the file cannot be read, is no JSON object, or has a key this runtime cannot work with.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError("", f"cannot read {path}: {error.strerror}") from None
    return parse_config(raw, environ)


def parse_config(raw: bytes, environ: Mapping[str, str]) -> Config:
    """Check the content of a file; raises as `read_config`."""
    try:
        parsed = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        parsed = _parse_json5(raw)
    if not isinstance(parsed, dict):
        raise ConfigError("", "the configuration must be an object")
    values = _substitute(parsed, environ, "")
    config = Config(raw, parsed, values)
    _check(config)
    return config


def _parse_json5(raw: bytes) -> Any:
    # A file written by hand may be JSON5, as upstream has it; the parser is slow to import, so only such a file pays.
    import json5

    try:
        return json5.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise ConfigError("", f"not JSON: {error}") from None


def _substitute(value: Any, environ: Mapping[str, str], path: str) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: _variable(match, environ, path), value) if "${" in value else value
    if isinstance(value, dict):
        return {key: _substitute(item, environ, f"{path}.{key}" if path else key) for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item, environ, f"{path}[{index}]") for index, item in enumerate(value)]
    return value


def _variable(match: re.Match[str], environ: Mapping[str, str], path: str) -> str:
    escaped, name = match.groups()
    if escaped:
        return f"${{{name}}}"
    value = environ.get(name)
    if not value:
        raise ConfigError(path, f'missing env var "{name}"')
    return value


def _check(config: Config) -> None:
    for path in (
        "gateway",
        "gateway.auth",
        "gateway.auth.trustedProxy",
        "models",
        "models.providers",
        "agents",
        "agents.defaults",
    ):
        value = config.get(path)
        if value is not None and not isinstance(value, dict):
            raise ConfigError(path, "must be an object")
    if config.get("gateway.mode") != "local":
        raise ConfigError("gateway.mode", 'must be "local"')
    mode = config.get("gateway.auth.mode", "token")
    if mode not in _AUTH_MODES:
        raise ConfigError("gateway.auth.mode", f"must be one of {', '.join(_AUTH_MODES)}")
    port = config.get("gateway.port", 18789)
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port < 65536:
        raise ConfigError("gateway.port", "must be a port number")
    for name, provider in config.table("models.providers").items():
        if not isinstance(provider, dict):
            raise ConfigError(f"models.providers.{name}", "must be an object")
        models = provider.get("models", [])
        if not isinstance(models, list) or not all(isinstance(model, dict) and model.get("id") for model in models):
            raise ConfigError(f"models.providers.{name}.models", "must be a list of objects with an id")
