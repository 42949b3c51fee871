"""What the API server checks and how it says so: CEL rules in place of patterns, whose refusal would show only a pattern.

A CEL rule has a message of its own (Kubernetes, "Validation rules"), so it can name the fix as the models' findings do.
What two resources say about each other (`tenant_api.cross_checks`) no rule can see: the operator says that in conditions.
"""

from __future__ import annotations

import json
from typing import Any, Final

from tenant_api import durations, egress, names, quantities
from tenant_api.schema import cel

_LABEL: Final = (
    "is no DNS-1123 label: write lower-case letters, digits and '-', at most 63, a letter or digit at both ends"
)
_QUANTITY: Final = 'is no quantity: write a number with its unit, e.g. "512Mi", "5Gi" or "500m"'

MESSAGES: Final[dict[str, str]] = {
    names.DNS_LABEL: _LABEL,
    names.LABEL_VALUE: "is no label value: write letters, digits, '-', '_' and '.', at most 63",
    names.ENV_NAME: "is no name of an environment variable: write letters, digits and '_', no digit first",
    names.USER_ID: "is no user id: write letters, digits and any of . _ @ | : + = / -, a letter or digit first",
    durations.PATTERN: "is no duration: write a number with its unit, e.g. 15m, 90s or 1h30m",
    quantities.PATTERN: _QUANTITY,
    egress.PATTERN: f"{egress.NOTATION}: {egress.HINT}",
    r"^[0-9a-f]{64}$": (
        "is no SHA-256: write the 64 lower-case hex digits of the token's hash, never the token itself;"
        " `openclaw-tenancy token new NAME` makes both, or `printf %s TOKEN | sha256sum`"
    ),
    r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$": (
        "is no version: write letters, digits, '-', '_' and '.', a letter or digit at both ends, e.g. \"3\""
    ),
}
"""What to say where a pattern of the models does not match. A pattern that is not here stays a pattern."""

INSTANT: Final = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
"""Times that the models read (`datetime.fromisoformat`) and people write; `format: date-time` would not say what to write."""

_ONE_MACHINE: Final = (
    "path is a directory of one machine: here name a persistentVolumeClaim or a volumeSnapshot that holds its content"
)

MORE: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "EnvVar": (("!(has(self.value) && has(self.valueFrom))", "has both value and valueFrom: remove one of them"),),
    "EnvSource": (
        (
            "has(self.secretKeyRef) != has(self.configMapKeyRef)",
            "needs one source: write secretKeyRef or configMapKeyRef",
        ),
    ),
    "Toleration": (
        (
            "self.operator != 'Exists' || !has(self.value) || self.value == ''",
            "operator Exists takes no value: remove value, or write operator: Equal",
        ),
        (
            "self.operator == 'Exists' || has(self.key)",
            "operator Equal needs a key: add key, or write operator: Exists",
        ),
    ),
    "VolumeSource": (("!has(self.path)", _ONE_MACHINE),),
    "TenantStorage": (
        (
            "!has(self.size) || !has(oldSelf.size) || !isQuantity(string(self.size)) || !isQuantity(string(oldSelf.size))"
            " || quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0",
            "a volume never shrinks: write the old size or more, or remove size where the template asks for as much",
        ),
    ),
}
"""Rules of whole objects, by model: its own validators, what Kubernetes would refuse later, what has no meaning here."""

ROOT: Final = (("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[^.]*$')", f"metadata.name {_LABEL}"),)
"""For both kinds: the API server itself allows names of 253 characters with dots, but pods and labels carry these."""


def spoken(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose pattern, if it is one of `MESSAGES`, is a rule that says what to write."""
    message = MESSAGES.get(schema.get("pattern", ""))
    if message is None:
        return schema
    quoted = json.dumps(schema["pattern"])
    if schema.get("x-kubernetes-int-or-string"):
        rule = f"type(self) == int ? self >= 0 : self.matches({quoted})"
    else:
        rule = f"self.matches({quoted})"
    rest = {key: value for key, value in schema.items() if key not in ("pattern", "minLength")}
    return with_rules(rest, (rule if schema.get("minLength", 0) < 1 else f"self != '' && {rule}", message))


def with_rules(schema: dict[str, Any], *rules: tuple[str, str]) -> dict[str, Any]:
    """Return a schema with more rules, in front of those that it has."""
    if not rules:
        return schema
    key = "x-kubernetes-validations"
    return {**schema, key: [*cel(*rules)[key], *schema.get(key, [])]}
