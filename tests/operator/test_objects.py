"""Every builder's result, whole: what a tenant costs on Kubernetes can be read here, and in `test_network_policies`."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from unstamped import unstamped

from tenant_api.identity import identity_secret, identity_user
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant
from tenant_operator.objects.amounts import canonical
from tenant_operator.objects.claim import BoundFacts, build_claim, user_mark
from tenant_operator.objects.deployment import as_seen, asleep_at_birth, build_deployment
from tenant_operator.objects.marks import APPLIED, digest, stamp, stamped
from tenant_operator.objects.prebind import build_prebind
from tenant_operator.objects.secret import GatewayDoor, build_secret, template_mark, tenant_mark
from tenant_operator.objects.service_account import build_service_account

KEY = b"k" * 32
DOOR = GatewayDoor(KEY, ("10.0.0.0/8",))
OWNER = {
    "apiVersion": "openclaw-tenancy.dev/v1alpha1",
    "kind": "Tenant",
    "name": "ann",
    "uid": "uid-1",
    "controller": True,
}
LABELS = {
    "app.kubernetes.io/managed-by": "openclaw-tenancy",
    "app.kubernetes.io/component": "gateway",
    "openclaw-tenancy.dev/tenant": "ann",
}
FOR_NOBODY = [{"name": "X-Forwarded-For", "value": "192.0.2.1"}]
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "fsGroup": 10001,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}


def tenant(**spec: Any) -> Tenant:
    return Tenant.model_validate(
        {
            "metadata": {"name": "ann", "namespace": "users", "uid": "uid-1"},
            "spec": {"userId": "42", "templateRef": {"name": "standard"}, **spec},
        }
    )


def template(**spec: Any) -> TenantTemplate:
    return TenantTemplate.model_validate({"metadata": {"name": "standard"}, "spec": {"version": "3", **spec}})


def test_deployment() -> None:
    made = build_deployment(
        tenant(credentials={"secretRef": {"name": "keys"}}),
        template(
            env=[
                {"name": "MODE", "value": "x"},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "HOME", "value": "/elsewhere"},
            ],
            resources={"requests": {"cpu": "1000m"}, "limits": {"memory": "1024Mi"}},
            nodeSelector={"pool": "tenants"},
            tolerations=[{"key": "tenants", "operator": "Exists", "effect": "NoSchedule"}],
            runtimeClassName="gvisor",
            priorityClassName="low",
        ),
        "registry/gateway:1",
    )
    assert unstamped(made) == {
        "metadata": {
            "name": "openclaw-ann",
            "labels": LABELS,
            "ownerReferences": [OWNER],
            "annotations": {"openclaw-tenancy.dev/template-version": "3"},
        },
        "spec": {
            "revisionHistoryLimit": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {
                    "labels": {**LABELS, "openclaw-tenancy.dev/template": "standard"},
                    "annotations": {"kubectl.kubernetes.io/default-container": "gateway"},
                },
                "spec": {
                    "serviceAccountName": "openclaw-gateway",
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 30,
                    "securityContext": POD_SECURITY,
                    "nodeSelector": {"pool": "tenants"},
                    "tolerations": [{"key": "tenants", "operator": "Exists", "effect": "NoSchedule"}],
                    "runtimeClassName": "gvisor",
                    "priorityClassName": "low",
                    "containers": [
                        {
                            "name": "gateway",
                            "image": "registry/gateway:1",
                            "ports": [{"name": "gateway", "containerPort": 18789, "protocol": "TCP"}],
                            "env": [
                                {"name": "OPENCLAW_STATE_DIR", "value": "/state"},
                                {"name": "OPENCLAW_CONFIG_PATH", "value": "/state/openclaw.json"},
                                {"name": "OPENCLAW_CONFIG_SOURCE", "value": "/etc/openclaw/openclaw.json"},
                                {"name": "HOME", "value": "/state/home"},
                                {"name": "MODE", "value": "x"},
                                {
                                    "name": "KEY",
                                    "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": False}},
                                },
                            ],
                            "securityContext": CONTAINER_SECURITY,
                            "startupProbe": {
                                "httpGet": {"path": "/startupz", "port": "gateway", "httpHeaders": FOR_NOBODY},
                                "periodSeconds": 1,
                                "timeoutSeconds": 1,
                                "failureThreshold": 120,
                            },
                            "readinessProbe": {
                                "httpGet": {"path": "/startupz", "port": "gateway", "httpHeaders": FOR_NOBODY},
                                "periodSeconds": 10,
                                "timeoutSeconds": 5,
                                "failureThreshold": 3,
                            },
                            "livenessProbe": {
                                "httpGet": {"path": "/healthz", "port": "gateway", "httpHeaders": FOR_NOBODY},
                                "periodSeconds": 20,
                                "timeoutSeconds": 15,
                                "failureThreshold": 12,
                            },
                            "volumeMounts": [
                                {"name": "state", "mountPath": "/state"},
                                {"name": "config", "mountPath": "/etc/openclaw", "readOnly": True},
                                {"name": "tmp", "mountPath": "/tmp"},
                            ],
                            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
                            "envFrom": [{"secretRef": {"name": "keys", "optional": True}}],
                        }
                    ],
                    "volumes": [
                        {"name": "state", "persistentVolumeClaim": {"claimName": "openclaw-ann"}},
                        {
                            "name": "config",
                            "secret": {
                                "secretName": "openclaw-ann",
                                "items": [{"key": "openclaw.json", "path": "openclaw.json"}],
                            },
                        },
                        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
                    ],
                },
            },
        },
    }


def test_upstreams_runtime_gets_the_time_of_its_drain() -> None:
    spec = build_deployment(tenant(), template(runtime="openclaw"), "i")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == 330


def test_start_may_have_more_cpu_than_what_follows() -> None:
    def limits(start: str | None, **cpu: str) -> Any:
        made = build_deployment(tenant(), template(wake={"cpuLimit": start}, resources={"limits": cpu}), "i")
        return made["spec"]["template"]["spec"]["containers"][0].get("resources")

    assert limits("2", cpu="500m") == {"limits": {"cpu": "2"}}
    assert limits("100m", cpu="500m") == {"limits": {"cpu": "500m"}}
    # Without a limit there is nothing to lift.
    assert limits("2") is None


def test_replicas_are_said_at_birth_and_repeated_as_seen() -> None:
    body = build_deployment(tenant(), template(), "i")
    assert "replicas" not in body["spec"]
    assert asleep_at_birth(body)["spec"]["replicas"] == 0
    again = as_seen(body, 1, "77")
    assert (again["spec"]["replicas"], again["metadata"]["resourceVersion"]) == (1, "77")
    assert stamp(again) == stamp(asleep_at_birth(body)) == stamp(body)


def test_claim_of_a_new_tenant() -> None:
    volume = {
        "size": "5Gi",
        "storageClassName": "fast",
        "source": {"persistentVolumeClaim": {"claimName": "golden"}},
        "accessModes": ["ReadWriteOncePod"],
    }
    assert build_claim(tenant(), template(volume=volume)) == {
        "metadata": {
            "name": "openclaw-ann",
            "labels": LABELS,
            "ownerReferences": [OWNER],
            "annotations": {"openclaw-tenancy.dev/user": user_mark(tenant())},
        },
        "spec": {
            "accessModes": ["ReadWriteOncePod"],
            "storageClassName": "fast",
            "dataSource": {"kind": "PersistentVolumeClaim", "name": "golden"},
            "resources": {"requests": {"storage": "5Gi"}},
        },
    }


def test_claim_from_a_snapshot_that_outlives_its_tenant() -> None:
    made = build_claim(
        tenant(storage={"reclaim": "Retain", "size": "7Gi"}),
        template(volume={"source": {"volumeSnapshot": {"name": "golden"}}}),
    )
    assert "ownerReferences" not in made["metadata"]
    assert made["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "dataSource": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "golden"},
        "resources": {"requests": {"storage": "7Gi"}},
    }


def test_claim_that_is_there_keeps_what_it_is() -> None:
    there = BoundFacts(("ReadWriteOnce",), "slow", {"kind": "PersistentVolumeClaim", "name": "old"}, "9Gi")
    made = build_claim(tenant(), template(volume={"size": "5Gi", "storageClassName": "fast"}), there)
    assert made["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "slow",
        "dataSource": {"kind": "PersistentVolumeClaim", "name": "old"},
        "resources": {"requests": {"storage": "9Gi"}},
    }


def test_secret() -> None:
    one = tenant(config={"ui": {"name": "Ann"}})
    kind = template(config='{agents: {defaults: {model: "m/{{ tenant.userId }}"}}}')
    made = build_secret(one, kind, DOOR)
    config = json.loads(base64.b64decode(made["data"]["openclaw.json"]))
    assert config["ui"] == {"name": "Ann"}
    assert config["agents"]["defaults"]["model"] == "m/42"
    assert config["agents"]["defaults"]["workspace"] == "/state/workspace"
    assert json.loads(base64.b64decode(made["data"]["template.json"])) == [kind.spec.config, [], "native"]
    user = identity_user("ann", identity_secret(KEY, "uid-1"))
    assert config["gateway"]["auth"]["trustedProxy"]["allowUsers"] == [user]
    assert (config["gateway"]["bind"], config["gateway"]["port"]) == ("lan", 18789)
    assert config["gateway"]["trustedProxies"] == ["10.0.0.0/8"]
    assert {**unstamped(made), "data": {}} == {
        "metadata": {
            "name": "openclaw-ann",
            "labels": LABELS,
            "ownerReferences": [OWNER],
            "annotations": {
                "openclaw-tenancy.dev/template-config": template_mark(kind),
                "openclaw-tenancy.dev/tenant-config": tenant_mark(one),
            },
        },
        "type": "Opaque",
        "data": {},
    }


def test_secret_is_the_same_each_time() -> None:
    assert build_secret(tenant(), template(), DOOR) == build_secret(tenant(), template(), DOOR)
    assert "kkkk" not in repr(DOOR)


def test_service_account() -> None:
    assert unstamped(build_service_account()) == {
        "metadata": {
            "name": "openclaw-gateway",
            "labels": {
                "app.kubernetes.io/managed-by": "openclaw-tenancy",
                "app.kubernetes.io/component": "gateway-namespace",
            },
        },
        "automountServiceAccountToken": False,
    }


def test_service_account_with_pull_secrets() -> None:
    made = build_service_account(("registry", "mirror.example"))
    assert made["imagePullSecrets"] == [{"name": "registry"}, {"name": "mirror.example"}]
    assert stamp(made) != stamp(build_service_account())


def test_prebind_pod() -> None:
    made = build_prebind(tenant(), template(nodeSelector={"pool": "tenants"}), "i")
    assert made == {
        "metadata": {
            "name": "openclaw-ann-prebind",
            "labels": {**LABELS, "app.kubernetes.io/component": "prebind"},
            "ownerReferences": [OWNER],
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": 600,
            "serviceAccountName": "openclaw-gateway",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": POD_SECURITY,
            "nodeSelector": {"pool": "tenants"},
            "containers": [
                {
                    "name": "prebind",
                    "image": "i",
                    "command": ["/bin/sh", "-c", "exit 0"],
                    "securityContext": CONTAINER_SECURITY,
                    "resources": {
                        "requests": {"cpu": "1m", "memory": "8Mi"},
                        "limits": {"cpu": "100m", "memory": "64Mi"},
                    },
                    "volumeMounts": [{"name": "state", "mountPath": "/state"}],
                }
            ],
            "volumes": [{"name": "state", "persistentVolumeClaim": {"claimName": "openclaw-ann"}}],
        },
    }


def test_stamp_is_that_of_the_rest() -> None:
    body = {"metadata": {"name": "x", "annotations": {"a": "b"}}, "spec": {"n": 1}}
    made = stamped(body)
    assert made["metadata"]["annotations"] == {"a": "b", APPLIED: digest(body)}
    assert stamp(made) == digest(body)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1})


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1500m", "1500m"),
        ("2000", "2k"),
        ("1024Mi", "1Gi"),
        ("0.5Gi", "512Mi"),
        ("1Gi", "1Gi"),
        ("100M", "100M"),
        ("0", "0"),
    ],
)
def test_quantities_are_spelled_as_the_api_server_does(written: str, kept: str) -> None:
    assert canonical(written) == kept
