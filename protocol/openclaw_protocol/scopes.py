"""Operator scopes: what a client may ask for in `connect.params.scopes`."""

from typing import Final

OPERATOR_SCOPES: Final = (
    "operator.admin",
    "operator.read",
    "operator.write",
    "operator.approvals",
    "operator.questions",
    "operator.pairing",
    "operator.talk",
    "operator.talk.secrets",
)
"""All that upstream gives to a shared token's holder. The router caps each session to what its client asked for."""
