"""One document to one resource, with everything that is wrong with it alone."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from tenant_api.config.errors import ConfigError
from tenant_api.config.render import check_template
from tenant_api.documents import Document, DocumentError, Position, read_documents
from tenant_api.schema import API_VERSION, GROUP
from tenant_api.secret import Secret
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant
from tenant_api.validation import FieldPath, Finding, findings

Resource = Tenant | TenantTemplate | Secret

KINDS: Final[dict[str, type[Resource]]] = {"Tenant": Tenant, "TenantTemplate": TenantTemplate, "Secret": Secret}

MAX_FINDINGS: Final = 50
"""Findings of one document; more help nobody."""

CONFIG_FIELD: Final[FieldPath] = ("spec", "config")


@dataclass(frozen=True, slots=True)
class Located:
    """A finding and the place where it stands, counted from the start of its document's text."""

    finding: Finding
    position: Position


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What one document says. Depends on its text alone, so that it can be kept."""

    kind: str
    """Kind as it is written, empty if there is none."""
    name: str
    """metadata.name as it is written, empty if there is none."""
    resource: Resource | None
    """None where the document is too broken, or of a kind that is none of ours."""
    document: Document | None
    findings: tuple[Located, ...] = ()

    def locate(self, finding: Finding) -> Located:
        """Return a finding about this document with its place."""
        if self.document is None:
            return Located(finding, Position(1, 1))
        return Located(finding, self.document.position(finding.field, of_key=finding.of_key))

    def locate_config(self, error: ConfigError) -> Located:
        """Return what is wrong with `spec.config` with its place: for a block text, the line in the file itself."""
        message = error.message
        finding = Finding(CONFIG_FIELD, message, error.hint)
        if self.document is None:
            return Located(finding, Position(1, 1))
        if error.line is None:
            return Located(finding, self.document.position(CONFIG_FIELD))
        block = self.document.block_texts.get(CONFIG_FIELD)
        if block is None:
            where = f"line {error.line}" + (f", column {error.column}" if error.column is not None else "")
            finding = Finding(CONFIG_FIELD, f"{where} of the text: {message}", error.hint)
            return Located(finding, self.document.position(CONFIG_FIELD))
        return Located(finding, Position(block.line + error.line - 1, block.column + (error.column or 1) - 1))


def parse_documents(text: str) -> Iterator[ParsedDocument]:
    """Yield the resources of a text. Documents of kinds that have no meaning on one machine are left out."""
    for document in read_documents(text):
        if isinstance(document, DocumentError):
            finding = Finding(document.field, document.message, document.hint)
            yield ParsedDocument("", "", None, None, (Located(finding, document.position),))
        else:
            for part in document.listed("items") if _is_list(document.value) else [document]:
                parsed = parse_document(part)
                if parsed is not None:
                    yield parsed


def _is_list(value: object) -> bool:
    """Tell whether a value is what `kubectl get -o yaml` wraps several resources in."""
    return isinstance(value, dict) and value.get("apiVersion") == "v1" and value.get("kind") == "List"


def parse_document(document: Document) -> ParsedDocument | None:
    """Return the resource of a document with everything wrong with it, or None if it is none of our business."""
    value = document.value
    if not isinstance(value, dict):
        finding = Finding((), "is no resource", f"write apiVersion: {API_VERSION}, kind: Tenant, metadata and spec")
        return ParsedDocument("", "", None, document, (Located(finding, document.start),))
    kind, name = _text(value.get("kind")), _text(_mapping(value.get("metadata")).get("name"))
    version = _text(value.get("apiVersion"))
    if _is_foreign(version, kind):
        return None
    wrong = list(_wrong_kind(value, version, kind))
    resource: Resource | None = None
    if not wrong:
        model = KINDS[kind]
        try:
            resource = model.model_validate(value, by_alias=True, by_name=False)
        except ValidationError as error:
            wrong = list(findings(error, model))[:MAX_FINDINGS]
    parsed = ParsedDocument(kind, name, resource, document)
    located = [parsed.locate(finding) for finding in wrong]
    if isinstance(resource, TenantTemplate):
        try:
            check_template(resource)
        except ConfigError as error:
            located.append(parsed.locate_config(error))
    return ParsedDocument(kind, name, resource, document, tuple(located))


def _is_foreign(version: str, kind: str) -> bool:
    """Tell whether a document is a sound resource of Kubernetes that one machine has no use for, e.g. a Namespace."""
    if (
        kind in KINDS
        or not version
        or not kind
        or difflib.get_close_matches(kind, ("Tenant", "TenantTemplate"), 1, 0.8)
    ):
        return False
    group = version.partition("/")[0]
    return not difflib.get_close_matches(group, (GROUP,), 1, 0.7)


def _wrong_kind(value: dict[str, Any], version: str, kind: str) -> Iterator[Finding]:
    expected = "v1" if kind == "Secret" else API_VERSION
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, 1, 0.6)
        hint = f"write kind: {near[0]}" if near else "write kind: Tenant or kind: TenantTemplate"
        yield Finding(("kind",), "is missing" if "kind" not in value else "is no kind that there is", hint)
    elif version != expected:
        message = "is missing" if "apiVersion" not in value else "is no version that there is"
        yield Finding(("apiVersion",), message, f"write apiVersion: {expected}")


def _text(value: object) -> str:
    return value[:253] if isinstance(value, str) else ""


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
