"""Names as Kubernetes spells them: DNS-1123 labels, label keys and values, environment variables."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_LABEL: Final = 63
"""Longest DNS label and label value (RFC 1123, Kubernetes' object names)."""

DNS_LABEL: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
LABEL_VALUE: Final = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
LABEL_KEY: Final = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
)
ENV_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
USER_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9._@|:+=/-]*$"


def is_dns_label(text: str) -> bool:
    """Tell whether a text is a DNS-1123 label (RFC 1123)."""
    return len(text) <= MAX_LABEL and re.match(DNS_LABEL.removesuffix("$") + r"\Z", text) is not None


def suggest_dns_label(text: str) -> str:
    """Return the DNS-1123 label nearest to what somebody wrote, or "my-tenant" if nothing of it can stay."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:MAX_LABEL].strip("-") or "my-tenant"


def _matching(pattern: str, limit: int, code: str, message: str, hint: Callable[[str], str]) -> AfterValidator:
    # \Z, not $: a name with a newline at its end is no name.
    compiled = re.compile(pattern.removesuffix("$") + r"\Z")

    def check(text: str) -> str:
        if len(text) > limit or not compiled.match(text):
            raise PydanticCustomError(code, "{problem}", {"problem": message, "hint": hint(text[: 4 * MAX_LABEL])})
        return text

    return AfterValidator(check)


DnsLabel = Annotated[
    str,
    _matching(
        DNS_LABEL,
        MAX_LABEL,
        "dns_label",
        f"is no DNS-1123 label: lower-case letters, digits and '-', at most {MAX_LABEL}, a letter or digit at both ends",
        lambda text: f"write {suggest_dns_label(text)!r}",
    ),
    WithJsonSchema({"type": "string", "pattern": DNS_LABEL, "minLength": 1, "maxLength": MAX_LABEL}),
]

LabelKey = Annotated[
    str,
    _matching(
        LABEL_KEY,
        253 + 1 + MAX_LABEL,
        "label_key",
        "is no label key: [domain/]name of letters, digits, '-', '_' and '.'",
        lambda text: "write something like 'plan' or 'example.com/plan'",
    ),
]

LabelValue = Annotated[
    str,
    _matching(
        LABEL_VALUE,
        MAX_LABEL,
        "label_value",
        f"is no label value: letters, digits, '-', '_' and '.', at most {MAX_LABEL}",
        lambda text: "longer or freer text belongs in metadata.annotations",
    ),
    WithJsonSchema({"type": "string", "pattern": LABEL_VALUE, "maxLength": MAX_LABEL}),
]

EnvName = Annotated[
    str,
    _matching(
        ENV_NAME,
        253,
        "env_name",
        "is no name of an environment variable: letters, digits and '_', no digit first",
        lambda text: f"write {re.sub(r'[^A-Za-z0-9_]', '_', text).lstrip('0123456789') or 'NAME'!r}",
    ),
    WithJsonSchema({"type": "string", "pattern": ENV_NAME, "minLength": 1, "maxLength": 253}),
]

UserId = Annotated[
    str,
    _matching(
        USER_ID,
        253,
        "user_id",
        "is no user id: letters, digits and any of . _ @ | : + = / -, at most 253, a letter or digit first",
        lambda text: "use the id that your backend knows the user by, e.g. \"42\" or 'ann@example.com'",
    ),
    WithJsonSchema({"type": "string", "pattern": USER_ID, "minLength": 1, "maxLength": 253}),
]
