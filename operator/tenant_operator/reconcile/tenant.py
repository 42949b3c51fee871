"""Reconciles one tenant: accept, provision, wake or rest, say so in its status."""

from __future__ import annotations

import logging
import time
from typing import Any

import msgspec

from tenant_api.apiserver_errors import ApiError, ApiRefused
from tenant_api.config.errors import ConfigError

from ..apiserver.errors import Conflict, NotFound
from ..apiserver.resources import CLAIM, TENANT
from ..cache.records import TenantRecord, TenantView
from ..idle.timers import Timers
from ..keys import Key, template_key
from ..life import Life
from ..times import parsed, rfc3339
from ..world import World
from .acceptance import GOES_ON, Accepted, Refused, accept, foreign_volume
from .boost import Boosts
from .children import Children
from .conditions import Statement, condition
from .provisioning import PENDING_SINCE, Provisioning, Settled, Work, forgotten, plan, provisioned
from .status import Look, tenant_status
from .volume import Volumes

log = logging.getLogger(__name__)

FOLLOWERS_PAUSE = 5.0
"""Seconds until a template counts its tenants anew: a thousand of them that come together are counted once or twice."""
TIMER_SEEN = 5.0
"""Seconds after which a running gateway has begun what was due: its cron looks once a second, and catches up at its start."""
SEEN = 5.0
"""Seconds after scaling down in which a Deployment with a replica is taken for the one from before, whose event is late."""
STUCK = 60.0
"""Seconds between two looks at a wake that does not succeed: its reason may change without an event."""


class TenantReconciler:
    """All tenants."""

    def __init__(self, world: World, children: Children, volumes: Volumes, timers: Timers) -> None:
        self._world = world
        self._children = children
        self._volumes = volumes
        self._timers = timers
        self._boosts = Boosts(world, children)

    async def reconcile(self, key: Key) -> None:
        """Make one tenant as it should be.

        Raises
        ------
        ApiError
            Something could not be done; all of it is to be tried again.
        """
        view = self._world.cache.view(key.object)
        if view.tenant is None:
            await self._gone(key, view)
            return
        if view.tenant.deleted:
            return
        before = msgspec.json.decode(view.tenant.status)
        life = self._world.lives.of(key.object)
        verdict, provisioning, failure = await self._provide(view.tenant, view, before)
        view = self._world.cache.view(key.object)
        if view.tenant is None:
            return
        accepted = verdict if isinstance(verdict, Accepted) else None
        volume, pause = await self._volumes.look(key.object, view, accepted, condition(before, "VolumeReady"))
        if life.next_wake is None:
            life.next_wake = parsed(before.get("nextWakeTime"))
        if accepted is not None:
            life.runtime = accepted.template.spec.runtime
        pauses = [pause, await self._power(view, verdict, life)]
        if accepted is not None:
            await self._boosts.take_back(view, accepted, life)
        look = Look(view, verdict, provisioning, volume, life, life.next_wake, time.time())
        status = tenant_status(look, before)
        if status != before:
            await self._write(view.tenant, status)
            self._tell(view.tenant, life, before, status)
        if status["phase"] == "Waking":
            pauses.append(STUCK)
        if any(pauses):
            self._world.queue.add_after(key, min(one for one in pauses if one))
        if failure is not None:
            raise failure

    async def _provide(
        self, tenant: TenantRecord, view: TenantView, before: dict[str, Any]
    ) -> tuple[Accepted | Refused, Provisioning, ApiError | None]:
        """Apply what is to be applied; return the verdict, how far that came, and what is to be tried again."""
        world = self._world
        verdict: Accepted | Refused = accept(tenant, world.cache, world.templates, world.settings.images)
        if isinstance(verdict, Accepted) and view.claim is not None:
            verdict = foreign_volume(verdict.tenant, view.claim.user) or verdict
        if isinstance(verdict, Refused):
            return verdict, self._unprovided(view), None
        if _lost(view, before):
            await self._children.look_again(tenant.namespace, tenant.name)
            view = world.cache.view(tenant.key)
        version = verdict.template.spec.version
        record = world.cache.template((tenant.namespace, verdict.template.name))
        life = world.lives.of(tenant.key)
        settled = Settled.of(view, record) if record is not None else None
        if settled is not None and settled == life.settled:
            return verdict, provisioned(Work(), view, version), None
        life.settled = None
        overdue = self._overdue(view, verdict)
        if forgotten(verdict, view, world.templates, overdue=overdue):
            await self._children.recall(tenant.namespace, tenant.name, verdict.template)
        try:
            work = plan(verdict, view, world.templates, world.settings.door, overdue=overdue)
        except ConfigError as error:
            reason = {"overlay": "OverlayInvalid", "template": "ConfigInvalid"}.get(error.source, "ConfigInvalid")
            text = str(error)
            if error.source == "template":
                text = text.replace("the template's config", f"config of TenantTemplate {verdict.template.name!r}", 1)
            return Refused(reason, text), self._unprovided(view), None
        if not work.anything:
            if record is not None and not work.waits:
                life.settled = Settled.of(view, record)
            return verdict, provisioned(work, view, version), None
        first = view.deployment is None
        try:
            await self._children.carry_out(verdict, view, work)
        except Conflict:
            raise  # somebody was quicker: look again at once, say nothing
        except ApiRefused as error:
            return verdict, Provisioning(_refused(error), self._unprovided(view).template_version), error
        if first or work.deployment is not None:
            world.queue.add_after(template_key(tenant.namespace, verdict.template.name), FOLLOWERS_PAUSE)
        view = world.cache.view(tenant.key)
        if record is not None and not work.waits:
            life.settled = Settled.of(view, record)
        return verdict, provisioned(work, view, version), None

    def _unprovided(self, view: TenantView) -> Provisioning:
        """Return what is to be said when nothing was applied because the resource is not accepted."""
        if view.deployment is None:
            text = "nothing is made for a tenant that is not accepted"
            return Provisioning(Statement.of("Provisioned", False, "NotAccepted", text))
        work = Work()
        return Provisioning(
            Statement.of("Provisioned", True, "Unchanged", "what was made before stays as it is"),
            provisioned(work, view, "").template_version,
        )

    def _overdue(self, view: TenantView, accepted: Accepted) -> bool:
        deadline = update_deadline(accepted)
        if deadline is None or view.deployment is None:
            return False
        since = view.deployment.marks.get(PENDING_SINCE, "")
        return since.isdigit() and time.time() - int(since) >= deadline

    async def _power(self, view: TenantView, verdict: Accepted | Refused, life: Life) -> float:
        """Scale up who must be awake; return the seconds until the next look at that (0: no need)."""
        deployment, tenant = view.deployment, view.tenant
        assert tenant is not None
        if deployment is None:
            return 0.0
        now = time.time()
        if deployment.replicas > 0:
            if not life.scaled_up:
                life.scaled_up = view.pod.created if view.pod is not None else now
            unseen = life.scaled_down + SEEN - now if life.slept else 0.0
            if unseen > 0:
                return unseen
            life.slept = False
            pauses = (self._wait_for_deadline(view, verdict, now), _pass_timer(view, life, now))
            return min((one for one in pauses if one), default=0.0)
        life.scaled_up = 0.0
        if tenant.power == "Suspended" or not _may_start(view, verdict):
            return 0.0
        if tenant.power == "AlwaysOn":
            await self._wake(tenant, life, "AlwaysOn")
            return 0.0
        if not life.next_wake:
            return 0.0
        ahead = self._timers.ahead(life.runtime)
        if life.next_wake - ahead <= now:
            await self._wake(tenant, life, "Timer")
            return 0.0
        return life.next_wake - ahead - now

    def _wait_for_deadline(self, view: TenantView, verdict: Accepted | Refused, now: float) -> float:
        deadline = update_deadline(verdict) if isinstance(verdict, Accepted) else None
        since = view.deployment.marks.get(PENDING_SINCE, "") if view.deployment is not None else ""
        if deadline is None or not since.isdigit():
            return 0.0
        return max(1.0, int(since) + deadline - now)

    async def _wake(self, tenant: TenantRecord, life: Life, reason: Any) -> None:
        await self._children.scale(tenant.namespace, tenant.name, 1)
        life.wake_reason = reason
        life.scaled_up = time.time()
        life.slept = False
        life.idle = None
        self._world.metrics.wakes.labels(reason).inc()
        log.info("tenant %s/%s: woken (%s)", tenant.namespace, tenant.name, reason)

    async def _write(self, tenant: TenantRecord, status: dict[str, Any]) -> None:
        body = {"metadata": {"name": tenant.name}, "status": status}
        try:
            answer = await self._world.api.apply(TENANT, tenant.namespace, body, subresource="status")
        except NotFound:
            return  # deleted meanwhile
        self._world.answers.take(TENANT, answer)
        self._world.metrics.last_status.set_to_current_time()

    def _tell(self, tenant: TenantRecord, life: Life, before: dict[str, Any], status: dict[str, Any]) -> None:
        """Tell Events about what people look for in `kubectl describe`."""
        events = self._world.events
        for kind in ("Accepted", "Provisioned", "VolumeReady", "Awake"):
            now = condition(status, kind)
            old = condition(before, kind)
            if now.get("reason") == old.get("reason") and now.get("status") == old.get("status"):
                continue
            if kind == "Awake":
                if now["reason"] in ("Asleep", "Suspending", "Waking", "Failed"):
                    continue
            elif now["status"] != "False" or now["reason"] in ("NotProvisioned", "NotAccepted"):
                continue
            bad = now["status"] == "False" and now["reason"] != "Suspended"
            events.tell(TENANT, tenant, now["reason"], now["message"], warning=bad)
        idle = condition(status, "Idle")
        if life.slept and "slept" not in life.said:
            life.said.add("slept")
            events.tell(TENANT, tenant, "Asleep", life.sleep_note or idle["message"])
        elif not life.slept:
            life.said.discard("slept")

    async def _gone(self, key: Key, view: TenantView) -> None:
        """The tenant is deleted: what it owned goes by garbage collection; a claim that stays says whose it was."""
        self._world.lives.end(key.object)
        self._volumes.forget(key.object)
        claim = view.claim
        if claim is None or claim.owner or claim.retained:
            return
        text = f"{key.namespace}/{key.name}, deleted {rfc3339(time.time())}"
        await self._children.mark_retained(claim.namespace, claim.name, claim.uid, text)
        self._world.events.tell(
            CLAIM,
            claim,
            "VolumeRetained",
            f"tenant {key.namespace}/{key.name} is deleted; its volume stays in this claim",
        )


def update_deadline(accepted: Accepted) -> float | None:
    """Return the seconds after which a changed template is applied to an awake tenant; None: never before its sleep."""
    return accepted.template.spec.update.deadline


def _pass_timer(view: TenantView, life: Life, now: float) -> float:
    """Forget a timer whose time a running gateway has seen; return the seconds until then (0: there is none)."""
    if not life.next_wake:
        return 0.0
    seen = life.next_wake + TIMER_SEEN
    if view.pod is not None and view.pod.ready and now >= max(seen, view.pod.ready_since + TIMER_SEEN):
        life.next_wake = 0.0
        return 0.0
    return max(1.0, seen - now)


def _may_start(view: TenantView, verdict: Accepted | Refused) -> bool:
    """Tell whether a tenant may be woken unasked: what was made for it, and for nobody else, is its own to go on with."""
    assert view.tenant is not None and view.deployment is not None
    if isinstance(verdict, Accepted):
        return True
    return verdict.reason in GOES_ON and view.deployment.owner == view.tenant.uid


def _lost(view: TenantView, before: dict[str, Any]) -> bool:
    """Tell whether children are missing that had been made."""
    missing = view.deployment is None or view.claim is None or view.secret is None
    return missing and condition(before, "Provisioned").get("status") == "True"


def _refused(error: ApiRefused) -> Statement:
    reason = "QuotaExceeded" if "exceeded quota" in error.message else f"Apply{error.reason or 'Refused'}"
    return Statement.of("Provisioned", False, reason, error.message or str(error))
