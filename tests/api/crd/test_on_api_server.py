"""A real API server takes the CRDs, keeps what is right, and refuses what is wrong in words that name the fix."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import CommandFailed
from cluster.fixtures import Cluster
from deadlines import eventually_sync
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant

CRDS = Path(__file__).parents[3] / "crds"
GROUP = "openclaw-tenancy.dev/v1alpha1"
HASH = "0123456789abcdef" * 4
pytestmark = pytest.mark.cluster


@pytest.fixture(scope="session")
def crds(api_server: Cluster) -> Cluster:
    """The API server with our kinds in it."""
    api_server.kubectl("apply", "-f", str(CRDS))
    for name in ("tenants", "tenanttemplates"):
        api_server.kubectl.wait("condition=Established", f"crd/{name}.openclaw-tenancy.dev", timeout=30)
    return api_server


def tenant(name: str = "alice", **spec: Any) -> dict[str, Any]:
    base = {"userId": "42", "templateRef": {"name": "standard"}}
    return {"apiVersion": GROUP, "kind": "Tenant", "metadata": {"name": name}, "spec": base | spec}


def template(name: str = "standard", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": GROUP, "kind": "TenantTemplate", "metadata": {"name": name}, "spec": {"version": "1"} | spec}


def refused(crds: Cluster, resource: dict[str, Any]) -> str:
    """What the API server says to a resource that it refuses; nothing is stored either way."""
    with pytest.raises(CommandFailed) as failed:
        crds.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(resource))
    return str(failed.value)


WRONG: list[tuple[str, Callable[[], dict[str, Any]], tuple[str, ...]]] = [
    ("a name with dots", lambda: tenant("alice.example"), ("metadata.name", "lower-case letters", "at most 63")),
    ("a long name", lambda: tenant("a" * 64), ("metadata.name", "at most 63")),
    ("no user", lambda: {**tenant(), "spec": {"templateRef": {"name": "x"}}}, ("spec.userId: Required value",)),
    ("a user with spaces", lambda: tenant(userId="a b"), ("spec.userId", "is no user id: write letters")),
    ("a user that is a number", lambda: tenant(userId=42), ("spec.userId", "must be of type string")),
    ("no template", lambda: {**tenant(), "spec": {"userId": "1"}}, ("spec.templateRef: Required value",)),
    ("a template with capitals", lambda: tenant(templateRef={"name": "Standard"}), ("spec.templateRef.name", "lower-case")),
    (
        "a token in clear for its hash",
        lambda: tenant(tokens=[{"name": "phone", "sha256": "oct_secret"}]),
        ("spec.tokens[0].sha256", "never the token itself", "openclaw-tenancy token new"),
    ),
    (
        "a token in clear beside its hash",
        lambda: tenant(tokens=[{"name": "phone", "sha256": HASH, "token": "oct_secret"}]),
        ('unknown field "spec.tokens[0].token"',),
    ),
    (
        "a token twice",
        lambda: tenant(tokens=[{"name": "a", "sha256": HASH}, {"name": "b", "sha256": HASH}]),
        ("spec.tokens", "one token is listed twice: remove one"),
    ),
    (
        "two tokens of one name",
        lambda: tenant(tokens=[{"name": "a", "sha256": HASH}, {"name": "a", "sha256": "f" * 64}]),
        ("spec.tokens[1]: Duplicate value",),
    ),
    (
        "an expiry without a zone",
        lambda: tenant(tokens=[{"name": "a", "sha256": HASH, "expiresAt": "2030-01-31T12:00:00"}]),
        ("spec.tokens[0].expiresAt", "write e.g. 2030-01-31T12:00:00Z"),
    ),
    ("a power that is none", lambda: tenant(power="On"), ("spec.power", '"Auto", "AlwaysOn", "Suspended"')),
    ("a timeout without a unit", lambda: tenant(idle={"timeout": "15"}), ("spec.idle.timeout", "e.g. 15m, 90s or 1h30m")),
    ("a timeout that is a number", lambda: tenant(idle={"timeout": 15}), ("spec.idle.timeout", "must be of type string")),
    ("an empty timeout", lambda: tenant(idle={"timeout": ""}), ("spec.idle.timeout", "e.g. 15m")),
    ("a limit of nothing", lambda: tenant(limits={"connections": 0}), ("greater than or equal to 1",)),
    ("a size without sense", lambda: tenant(storage={"size": "5 GB"}), ("spec.storage.size", '"512Mi", "5Gi"')),
    ("a reclaim that is none", lambda: tenant(storage={"reclaim": "Keep"}), ('"Delete", "Retain"',)),
    ("a misspelt field", lambda: tenant(tokenz=[]), ('unknown field "spec.tokenz"',)),
    ("no version", lambda: {**template(), "spec": {}}, ("spec.version: Required value",)),
    ("a version with spaces", lambda: template(version="3 beta"), ("spec.version", "is no version: write letters")),
    ("a runtime that is none", lambda: template(runtime="node"), ('"native", "openclaw"',)),
    ("two sources", lambda: template(volume={"source": {"persistentVolumeClaim": {"claimName": "a"}, "volumeSnapshot": {"name": "b"}}}),
     ("spec.volume.source", "name one source")),
    ("no source", lambda: template(volume={"source": {}}), ("spec.volume.source", "name one source")),
    ("a directory", lambda: template(volume={"source": {"path": "/data"}}), ("spec.volume.source", "persistentVolumeClaim or a volumeSnapshot")),
    ("many writers", lambda: template(volume={"accessModes": ["ReadWriteMany"]}), ('"ReadWriteOnce", "ReadWriteOncePod"',)),
    ("a variable named 1A", lambda: template(env=[{"name": "1A", "value": "x"}]), ("spec.env[0].name", "no digit first")),
    (
        "a variable with two values",
        lambda: template(env=[{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
        ("spec.env[0]", "has both value and valueFrom: remove one"),
    ),
    (
        "a variable from nowhere",
        lambda: template(env=[{"name": "A", "valueFrom": {}}]),
        ("spec.env[0].valueFrom", "write secretKeyRef or configMapKeyRef"),
    ),
    ("a variable twice", lambda: template(env=[{"name": "A"}, {"name": "A"}]), ("Duplicate value",)),
    ("a toleration of nothing", lambda: template(tolerations=[{"value": "x"}]), ("operator Equal needs a key",)),
    (
        "a toleration of all with a value",
        lambda: template(tolerations=[{"operator": "Exists", "key": "a", "value": "x"}]),
        ("operator Exists takes no value",),
    ),
    ("memory without sense", lambda: template(resources={"limits": {"memory": "lots"}}), ("spec.resources.limits", '"512Mi"')),
    ("negative memory", lambda: template(resources={"limits": {"memory": -1}}), ("spec.resources.limits", "is no quantity")),
    ("a label that is none", lambda: template(nodeSelector={"a": "b c"}), ("spec.nodeSelector", "is no label value")),
    ("a destination without a port", lambda: template(egress=["10.1.2.0/24"]), ("spec.egress[0]", "write e.g. 10.1.2.0/24:8080")),
    ("a destination by name", lambda: template(egress=["llm.example:8080"]), ("spec.egress[0]", "is no network:port")),
    ("metadata addresses", lambda: template(egress=["169.254.169.254/32:80"]), ("spec.egress[0]", "name the network of the server")),
    ("metadata addresses of IPv6", lambda: template(egress=["FD00:ec2::254/128:80"]), ("spec.egress[0]", "hand out their credentials")),
    ("everything", lambda: template(egress=["10.0.0.0/8:1", "0.0.0.0/0:80"]), ("spec.egress[1]", "hand out their credentials")),
    ("too much weight", lambda: template(wake={"weight": 1001}), ("less than or equal to 1000",)),
    ("a plan with capitals", lambda: template(wake={"plan": "Gold"}), ("spec.wake.plan", "lower-case")),
]  # fmt: skip


@pytest.mark.parametrize(("make", "says"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_wrong_input_is_refused_with_the_fix(
    crds: Cluster, make: Callable[[], dict[str, Any]], says: tuple[str, ...]
) -> None:
    said = refused(crds, make())
    for part in says:
        assert part in said, said


def test_a_user_never_changes(crds: Cluster, namespace: str) -> None:
    crds.kubectl.apply(tenant(), namespace=namespace)
    crds.kubectl.apply(tenant(power="AlwaysOn"), namespace=namespace)
    with pytest.raises(CommandFailed, match="userId never changes: make a new Tenant"):
        crds.kubectl.apply(tenant(userId="43"), namespace=namespace)


def test_a_volume_grows_and_never_shrinks(crds: Cluster, namespace: str) -> None:
    crds.kubectl.apply(tenant(storage={"size": "5Gi"}), namespace=namespace)
    crds.kubectl.apply(tenant(storage={"size": "5120Mi"}), namespace=namespace)
    crds.kubectl.apply(tenant(storage={"size": "6Gi"}), namespace=namespace)
    with pytest.raises(CommandFailed, match="a volume never shrinks: write the old size or more"):
        crds.kubectl.apply(tenant(storage={"size": "5Gi"}), namespace=namespace)


FULL_TENANT: dict[str, Any] = {
    "userId": "ann@example.com",
    "templateRef": {"name": "standard", "version": "3"},
    "tokens": [
        {"name": "phone", "sha256": HASH, "expiresAt": "2030-01-31T12:00:00+01:00"},
        {"name": "tui", "sha256": "f" * 64},
    ],
    "config": {"agents": {"defaults": {"model": None}}, "list": [1, None, 2.5, {"deep": True}]},
    "credentials": {"secretRef": {"name": "keys"}},
    "power": "AlwaysOn",
    "idle": {"timeout": "1h30m"},
    "limits": {"connections": 20, "requestsPerMinute": 600, "wakesPerHour": 60},
    "storage": {"size": 5368709120, "reclaim": "Retain"},
}
FULL_TEMPLATE: dict[str, Any] = {
    "version": "3",
    "runtime": "openclaw",
    "image": "example/openclaw:1",
    "volume": {
        "source": {"persistentVolumeClaim": {"claimName": "base"}},
        "size": "1.5Gi",
        "storageClassName": "fast",
        "accessModes": ["ReadWriteOncePod"],
        "prebind": True,
    },
    "config": "{ /* {{ tenant.name }} */ }",
    "protected": ["gateway.auth", "models.providers"],
    "env": [{"name": "A", "value": ""}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}],
    "resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": 2, "memory": "1Gi"}},
    "nodeSelector": {"pool": "tenants"},
    "tolerations": [{"key": "tenants", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}, {"operator": "Exists"}],
    "runtimeClassName": "gvisor",
    "priorityClassName": "low",
    "egress": ["10.1.2.0/24:8080", "fd12:3456::/48:5432"],
    "idle": {"timeout": "15m", "passiveMethods": ["cron.list"]},
    "limits": {"connections": 5},
    "wake": {"timeout": "90s", "plan": "gold", "weight": 3},
}  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "model", "plural"),
    [(tenant(**FULL_TENANT), Tenant, "tenants"), (template(**FULL_TEMPLATE), TenantTemplate, "tenanttemplates")],
    ids=["tenant", "template"],
)
def test_what_is_right_is_kept_whole_and_read_back_by_the_model(
    crds: Cluster, namespace: str, resource: dict[str, Any], model: type[Tenant | TenantTemplate], plural: str
) -> None:
    made = crds.api.request("POST", f"/apis/{GROUP}/namespaces/{namespace}/{plural}", resource)
    for key, value in resource["spec"].items():
        assert made["spec"][key] == value
    stored = crds.api.get(f"/apis/{GROUP}/namespaces/{namespace}/{plural}/{resource['metadata']['name']}")
    read = model.model_validate(stored, by_name=False)
    assert read.spec == model.model_validate(resource, by_name=False).spec


def test_the_least_that_must_be_written_becomes_the_defaults_of_the_models(crds: Cluster, namespace: str) -> None:
    for resource, model, plural in ((tenant(), Tenant, "tenants"), (template(), TenantTemplate, "tenanttemplates")):
        made = crds.api.request("POST", f"/apis/{GROUP}/namespaces/{namespace}/{plural}", resource)
        assert model.model_validate(made, by_name=False).spec == model.model_validate(resource, by_name=False).spec


def test_status_is_a_resource_of_its_own(crds: Cluster, namespace: str) -> None:
    crds.kubectl.apply(tenant(), namespace=namespace)
    path = f"/apis/{GROUP}/namespaces/{namespace}/tenants/alice"
    patch = {"status": {"phase": "Awake", "connections": 2}, "spec": {"power": "Suspended"}}
    crds.api.request("PATCH", f"{path}/status", patch, "application/merge-patch+json")
    found = crds.api.get(path)
    assert found["status"] == {"phase": "Awake", "connections": 2}
    assert found["spec"]["power"] == "Auto"
    crds.api.request("PATCH", path, {"status": {"phase": "Failed"}}, "application/merge-patch+json")
    assert crds.api.get(path)["status"]["phase"] == "Awake"


def test_a_condition_has_one_owner_as_a_whole(crds: Cluster, namespace: str) -> None:
    """A fifth of an asleep Tenant would be the owner of each field of each condition."""
    kubectl = crds.kubectl
    kubectl.apply(tenant(), namespace=namespace)
    said = [{"type": kind, "status": "True", "reason": "Is", "message": "it is"} for kind in ("Accepted", "Awake")]
    body = {**tenant(), "status": {"phase": "Asleep", "conditions": said}}
    del body["spec"]
    by = ("--server-side", "--subresource=status", "--field-manager=operator", "-n", namespace, "-f", "-")
    kubectl("apply", *by, input=json.dumps(body))
    kept = kubectl.get("tenant", "alice", "-n", namespace, "--show-managed-fields")
    owned = next(one for one in kept["metadata"]["managedFields"] if one["manager"] == "operator")
    assert owned["fieldsV1"]["f:status"]["f:conditions"] == {
        'k:{"type":"Accepted"}': {},
        'k:{"type":"Awake"}': {},
    }


def test_kubectl_tells_the_story_on_one_line(crds: Cluster, namespace: str) -> None:
    crds.kubectl.apply(tenant(), template(), namespace=namespace)
    status = {
        "phase": "Asleep",
        "templateVersion": "1",
        "connections": 2,
        "lastActiveTime": "2026-01-01T00:00:00Z",
        "conditions": [{"type": "Awake", "status": "False", "reason": "Idle", "message": "asleep since 10:02"}],
    }
    path = f"/apis/{GROUP}/namespaces/{namespace}/tenants/alice/status"
    crds.api.request("PATCH", path, {"status": status}, "application/merge-patch+json")
    head, line = crds.kubectl("get", "ten", "-n", namespace).splitlines()
    assert head.split() == ["NAME", "USER", "TEMPLATE", "VERSION", "PHASE", "CONNECTIONS", "ACTIVE", "NEXT-WAKE", "AGE"]
    assert line.split()[:6] == ["alice", "42", "standard", "1", "Asleep", "2"]
    assert "asleep since 10:02" in crds.kubectl("get", "ten", "-n", namespace, "-o", "wide")
    listed = crds.kubectl("get", "openclaw-tenancy", "-n", namespace)
    assert "tenant.openclaw-tenancy.dev/alice" in listed and "tenanttemplate.openclaw-tenancy.dev/standard" in listed
    assert "standard" in crds.kubectl("get", "tent", "-n", namespace)


def explained(crds: Cluster, field: str, text: str) -> str:
    """What kubectl explain says of a field, once the API server describes the kinds that it has as they are now: it does so
    some time after it has established them."""

    def said() -> str:
        try:
            found = " ".join(crds.kubectl("explain", field).split())
        except CommandFailed:
            return ""
        return found if text in found else ""

    return eventually_sync(said, 30, f"explain {field}: {text}")


def test_kubectl_explain_reads_like_documentation(crds: Cluster) -> None:
    said = explained(crds, "tenants.spec", "Tokens that open this tenant; several are valid at once")
    assert "power <string> enum: Auto, AlwaysOn, Suspended" in said
    text = "A claim to clone; its storage class must have the same provisioner."
    assert explained(crds, "tenanttemplates.spec.volume.source", text)
