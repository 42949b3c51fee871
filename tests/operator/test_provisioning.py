"""What a plan applies, without any API server."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from tenant_api.config import ConfigError
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant
from tenant_operator.apiserver.resources import CLAIM, DEPLOYMENT, SECRET, TEMPLATE, TENANT
from tenant_operator.cache.cache import Cache
from tenant_operator.objects.marks import PENDING, stamp
from tenant_operator.objects.secret import GatewayDoor, template_of
from tenant_operator.reconcile.acceptance import Accepted, Refused, Templates, accept, parse_template
from tenant_operator.reconcile.provisioning import Work, forgotten, plan

DOOR = GatewayDoor(b"k" * 32, ("10.0.0.0/8",))
versions = itertools.count(1)


class Case:
    """One tenant in a cache."""

    def __init__(self) -> None:
        self.cache = Cache()
        self.templates = Templates()
        self.template()
        self.tenant()

    def template(self, **spec: Any) -> None:
        self._put(TEMPLATE, "standard", {"spec": {"version": "1", "image": "i", **spec}})

    def tenant(self, **spec: Any) -> None:
        self._put(TENANT, "ann", {"spec": {"userId": "42", "templateRef": {"name": "standard"}, **spec}})

    def accept(self) -> Accepted | Refused:
        record = self.cache.tenant(("ns", "ann"))
        assert record is not None
        return accept(record, self.cache, self.templates, {})

    def plan(self, overdue: bool = False) -> Work:
        accepted = self.accept()
        assert isinstance(accepted, Accepted), accepted
        return plan(accepted, self.cache.view(("ns", "ann")), self.templates, DOOR, overdue=overdue)

    def carry_out(self, work: Work, replicas: int | None = None) -> None:
        """What the API server makes of it."""
        for resource, body in ((SECRET, work.secret), (CLAIM, work.claim), (DEPLOYMENT, work.deployment)):
            if body is not None:
                self._put(resource, body["metadata"]["name"], body)
        if replicas is not None:
            self.scale(replicas)

    def scale(self, replicas: int) -> None:
        body = self.bodies["deployments"]
        self._put(DEPLOYMENT, "openclaw-ann", {**body, "spec": {**body["spec"], "replicas": replicas}})

    bodies: dict[str, dict[str, Any]]

    def _put(self, resource: Any, name: str, body: dict[str, Any]) -> None:
        metadata = {
            **body.get("metadata", {}),
            "namespace": "ns",
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": str(next(versions)),
            "generation": next(versions),
        }
        whole = msgspec.json.decode(msgspec.json.encode({**body, "metadata": metadata}))
        self.__dict__.setdefault("bodies", {})[resource.plural] = whole
        self.cache.put(resource, whole)


def test_new_tenant_gets_everything_asleep_and_then_nothing_more() -> None:
    case = Case()
    work = case.plan()
    assert work.secret and work.claim and work.deployment
    assert work.deployment["spec"]["replicas"] == 0
    case.carry_out(work)
    assert not case.plan().anything


def test_changed_template_is_applied_to_a_sleeper_as_it_was_seen() -> None:
    case = Case()
    case.carry_out(case.plan())
    case.template(image="other")
    work = case.plan()
    assert work.deployment is not None and work.secret is None and work.claim is None
    seen = case.cache.deployment(("ns", "ann"))
    assert seen is not None
    assert work.deployment["metadata"]["resourceVersion"] == seen.resource_version
    assert work.deployment["spec"]["replicas"] == 0


def test_changed_template_waits_while_awake_and_is_marked_once() -> None:
    case = Case()
    case.carry_out(case.plan(), replicas=1)
    assert not case.plan().anything
    case.template(image="other", config="{ui: {}}")
    work = case.plan()
    assert (work.secret, work.deployment, work.waits) == (None, None, True)
    assert work.pending
    marked = case.bodies["deployments"]
    marked["metadata"]["annotations"][PENDING] = work.pending
    case.carry_out(Work(deployment=marked))
    again = case.plan()
    assert again.waits and not again.anything
    overdue = case.plan(overdue=True)
    assert overdue.deployment is not None and overdue.secret is not None
    assert overdue.deployment["spec"]["replicas"] == 1
    # Asleep: applied, and the mark goes.
    case.scale(0)
    asleep = case.plan()
    assert asleep.deployment is not None and asleep.secret is not None and asleep.pending == ""


def test_changed_overlay_reaches_who_is_awake_on_the_template_that_it_runs_with() -> None:
    case = Case()
    case.template(config='{ui: {a: "old"}}')
    case.carry_out(case.plan(), replicas=1)
    case.template(config='{ui: {a: "new"}}')
    case.tenant(config={"ui": {"b": 1}})
    import base64

    work = case.plan()
    assert work.secret is not None and work.waits
    config = msgspec.json.decode(base64.b64decode(work.secret["data"]["openclaw.json"]))
    assert config["ui"] == {"a": "old", "b": 1}
    # An operator that has just started does not know the old one any more, and looks it up in the Secret.
    case.templates = Templates()
    accepted = case.accept()
    assert isinstance(accepted, Accepted)
    assert forgotten(accepted, case.cache.view(("ns", "ann")), case.templates, overdue=False)
    assert not forgotten(accepted, case.cache.view(("ns", "ann")), case.templates, overdue=True)
    past = template_of(case.bodies["secrets"], accepted.template)
    assert past is not None
    case.templates.remember("ns", past)
    assert not forgotten(accepted, case.cache.view(("ns", "ann")), case.templates, overdue=False)
    assert case.plan() == work
    # A Secret of an older operator does not say: the newest is better than nothing.
    case.templates = Templates()
    assert template_of({"data": {}}, accepted.template) is None
    work = case.plan()
    assert work.secret is not None
    config = msgspec.json.decode(base64.b64decode(work.secret["data"]["openclaw.json"]))
    assert config["ui"] == {"a": "new", "b": 1}


def test_labels_of_who_is_awake_are_repaired_at_once() -> None:
    case = Case()
    case.carry_out(case.plan(), replicas=1)
    body = case.bodies["deployments"]
    case.carry_out(
        Work(deployment={**body, "metadata": {**body["metadata"], "labels": {"openclaw-tenancy.dev/tenant": "ann"}}})
    )
    work = case.plan()
    assert work.deployment is not None and work.deployment["spec"]["replicas"] == 1
    assert work.pending is None


def test_broken_overlay_is_said_also_while_it_would_wait() -> None:
    case = Case()
    case.carry_out(case.plan(), replicas=1)
    case.template(config="{ui: {}}")
    case.tenant(config={"gateway": {"port": 1}})
    with pytest.raises(ConfigError):
        case.plan()


def test_stamp_does_not_depend_on_who_looks() -> None:
    first, second = Case().plan().deployment, Case().plan().deployment
    assert first and second and stamp(first) == stamp(second)


def test_refusals_name_what_to_do() -> None:
    case = Case()
    case.tenant(templateRef={"name": "nowhere"})
    refused = case.accept()
    assert isinstance(refused, Refused) and refused.reason == "TemplateNotFound" and "'nowhere'" in refused.message
    case.tenant(tokens=[{"name": "phone", "value": "oct_x"}])
    refused = case.accept()
    assert isinstance(refused, Refused) and refused.reason == "SpecInvalid" and "oct_x" not in refused.message
    case.tenant()
    case.template(image=None)
    refused = case.accept()
    assert isinstance(refused, Refused) and refused.reason == "NoImage"


def test_template_for_one_machine_is_refused() -> None:
    source = {"metadata": {"name": "t"}, "spec": {"version": "1", "volume": {"source": {"path": "seed"}}}}
    refused = parse_template(msgspec.json.encode(source))
    assert isinstance(refused, Refused) and "one machine" in refused.message
    assert isinstance(parse_template(b'{"metadata": {"name": "t"}, "spec": {"version": "1"}}'), TenantTemplate)


def test_models_stay_as_they_are() -> None:
    accepted = Case().accept()
    assert isinstance(accepted, Accepted) and isinstance(accepted.tenant, Tenant)
