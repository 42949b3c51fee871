"""The two CustomResourceDefinitions: names, columns of `kubectl get`, status subresource, schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from tenant_api.crd.rules import ROOT, with_rules
from tenant_api.crd.structural import structural_schema
from tenant_api.kubernetes_names import GROUP, TEMPLATES, TENANTS, VERSION
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant

CATEGORIES: Final = ("openclaw-tenancy",)
"""`kubectl get openclaw-tenancy` lists tenants and templates. Not "all": that is for what runs."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`."""

    name: str
    path: str
    description: str
    kind: str = "string"
    """string, integer or date (shown as the time since)."""
    wide: bool = False
    """Whether it takes `-o wide` to see it."""

    def manifest(self) -> dict[str, Any]:
        """Return it as `additionalPrinterColumns` has it."""
        made: dict[str, Any] = {"name": self.name, "type": self.kind, "jsonPath": self.path}
        return made | {"description": self.description} | ({"priority": 1} if self.wide else {})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource."""

    model: type[BaseModel]
    plural: str
    short: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        """Name of the CustomResourceDefinition: plural and group."""
        return f"{self.plural}.{GROUP}"

    def definition(self) -> dict[str, Any]:
        """Return the CustomResourceDefinition."""
        kind = self.model.__name__
        names = {
            "kind": kind,
            "listKind": f"{kind}List",
            "plural": self.plural,
            "singular": kind.lower(),
            "shortNames": list(self.short),
            "categories": list(CATEGORIES),
        }
        version = {
            "name": VERSION,
            "served": True,
            "storage": True,
            "subresources": {"status": {}},
            "additionalPrinterColumns": [column.manifest() for column in self.columns],
            "schema": {"openAPIV3Schema": self._schema()},
        }
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.name},
            "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
        }

    def _schema(self) -> dict[str, Any]:
        fields = self.model.model_json_schema(by_alias=True)["properties"]
        properties = {
            key: {"type": "string", "description": fields[key]["description"]} for key in ("apiVersion", "kind")
        }
        schema = {
            "type": "object",
            "description": (self.model.__doc__ or "").strip(),
            "required": ["spec"],
            "properties": {
                **properties,
                "metadata": {"type": "object"},
                "spec": structural_schema(self.model, "spec", bounded=True),
                "status": structural_schema(self.model, "status", bounded=False),
            },
        }
        return with_rules(schema, *ROOT)


def _message_of(condition: str) -> str:
    return f'.status.conditions[?(@.type=="{condition}")].message'


AGE: Final = Column("Age", ".metadata.creationTimestamp", "Since it was made.", "date")

KINDS: Final = (
    Kind(
        Tenant,
        TENANTS,
        ("ten",),
        (
            Column("User", ".spec.userId", "The user as the cloud backend knows him."),
            Column("Template", ".spec.templateRef.name", "The template that it is made from."),
            Column("Version", ".status.templateVersion", "The template's version that it has now."),
            Column("Phase", ".status.phase", "Where its gateway stands."),
            Column("Connections", ".status.connections", "Sockets open when the operator looked last.", "integer"),
            Column("Active", ".status.lastActiveTime", "Since the last real request.", "date"),
            Column("Next-Wake", ".status.nextWakeTime", "When its own schedule wants it awake."),
            AGE,
            Column("Power", ".spec.power", "Auto, AlwaysOn or Suspended.", wide=True),
            Column("Pod", ".status.pod.name", "The pod, while there is one.", wide=True),
            Column("Wakes", ".status.usage.wakes", "Wakes in total.", "integer", wide=True),
            Column("Why", _message_of("Awake"), "Why it is awake or asleep.", wide=True),
            Column("Accepted", _message_of("Accepted"), "What is wrong with it, if anything.", wide=True),
        ),
    ),
    Kind(
        TenantTemplate,
        TEMPLATES,
        ("tent",),
        (
            Column("Version", ".spec.version", "Version of the template."),
            Column("Runtime", ".spec.runtime", "The gateway that serves its tenants."),
            Column(
                "Accepted", '.status.conditions[?(@.type=="Accepted")].status', "Whether tenants may be made from it."
            ),
            Column("Tenants", ".status.tenants", "How many tenants are made from it.", "integer"),
            AGE,
            Column("Idle", ".spec.idle.timeout", "Time without a request until a tenant is put to sleep.", wide=True),
            Column("Image", ".spec.image", "Image of the gateway, where it is not the operator's.", wide=True),
            Column("Why", _message_of("Accepted"), "What is wrong with it, if anything.", wide=True),
        ),
    ),
)
"""Every kind of the group; `ten` is short for a tenant, `tent` for a template."""
