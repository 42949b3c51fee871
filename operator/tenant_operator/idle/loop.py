"""Looks at all awake tenants every few seconds, and puts to sleep who is idle everywhere."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Final

import msgspec

from tenant_api.apiserver_errors import ApiError
from tenant_api.durations import parse_duration

from ..cache.records import TenantRecord, TenantView
from ..keys import tenant_key
from ..life import Life
from ..reconcile.children import Children
from ..reconcile.status import asleep_message, sleep_note, wake_trouble
from ..world import World
from .decide import Decision, Policy, decide
from .routers import Activity, Routers, Unsure
from .suspend import Busy, converse, reopen
from .timers import Timers

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
"""Conversations at once: each holds back its tenant's requests for some milliseconds."""
FIRST_RETRY: Final = 5.0
"""Seconds until a busy tenant is asked again, doubled each time."""
LAST_RETRY: Final = 300.0
SCALES: Final = 3
"""Tries to scale down after the clients were parked."""
DEFAULT_IDLE: Final = "15m"
DEFAULT_WAKE: Final = "60s"
FORGOTTEN_WAKE: Final = 3.0
"""Seconds after which a wake that a router waits for, of a tenant without a replica, is helped: its scaling crossed ours."""


@dataclass(slots=True)
class _KnownPolicy:
    versions: tuple[int, int]
    policy: Policy


class IdleLoop:
    """The clock of sleeping."""

    def __init__(self, world: World, children: Children, timers: Timers) -> None:
        self._world = world
        self._children = children
        self._timers = timers
        self._routers = Routers(world.settings.routers)
        self._policies: dict[tuple[str, str], _KnownPolicy] = {}
        """Of those who are awake."""
        self._conversations: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._wanted: dict[tuple[str, str], float] = {}
        """Tenants without a replica that a router is waking → since when."""
        self._problem = ""
        self._measured: set[str] = set()

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                await asyncio.sleep(self._world.settings.poll)
                await self._look()
        finally:
            for task in self._conversations:
                task.cancel()
            await asyncio.gather(*self._conversations, return_exceptions=True)
            await self._routers.close()

    async def _look(self) -> None:
        activity = await self._ask()
        now = time.time()
        cache = self._world.cache
        waking = activity is not None and activity.any_waking
        if not waking:
            self._wanted.clear()
        awake: set[tuple[str, str]] = set()
        for tenant in list(cache.tenants()):
            deployment = cache.deployment(tenant.key)
            if deployment is None or tenant.deleted:
                continue
            # Nearly all of them sleep: these must cost next to nothing.
            if deployment.replicas > 0:
                awake.add(tenant.key)
                self._consider(cache.view(tenant.key), activity, now)
            elif activity is not None and waking:
                await self._help_wake(tenant, activity, now)
        for name in self._policies.keys() - awake:
            del self._policies[name]

    async def _ask(self) -> Activity | None:
        if not self._routers.configured:
            return None
        try:
            activity = await self._routers.activity()
        except Unsure as unsure:
            if str(unsure) != self._problem:
                self._problem = str(unsure)
                log.warning("nobody is put to sleep: %s", unsure)
            return None
        if self._problem:
            log.info("all routers answer again")
            self._problem = ""
        return activity

    def _consider(self, view: TenantView, activity: Activity | None, now: float) -> None:
        tenant = view.tenant
        assert tenant is not None and view.deployment is not None
        life = self._world.lives.of(tenant.key)
        policy = self._policy(tenant)
        self._measure(view, life, policy)
        key = f"{tenant.namespace}/{tenant.name}"
        seen = activity.of(key) if activity is not None else None
        if seen is not None:
            life.last_request = max(life.last_request, seen.last_request)
            life.connections, life.parked = seen.connections, seen.parked
        if policy.power == "Suspended":
            life.suspend_since = life.suspend_since or now
        else:
            life.suspend_since = 0.0
        trouble = wake_trouble(view.deployment.failure, view.pod)
        decision = decide(policy, life, view.pod, ": ".join(trouble) if trouble else "no pod became ready", seen, now)
        if decision.action == "stay":
            return
        life.suspending = True
        addresses = activity.addresses if activity is not None else []
        job = self._sleep(view, life, policy, decision, addresses)
        task = asyncio.create_task(job, name=f"suspend {key}")
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)

    async def _sleep(
        self, view: TenantView, life: Life, policy: Policy, decision: Decision, addresses: list[tuple[str, int]]
    ) -> None:
        tenant, pod = view.tenant, view.pod
        assert tenant is not None
        key = f"{tenant.namespace}/{tenant.name}"
        try:
            async with self._turns:
                parked, next_wake = 0, None
                if decision.action == "ask" and pod is not None and addresses:
                    latest = time.time() + 2 * self._timers.ahead(policy.runtime)
                    answer = await converse(self._routers, addresses, key, pod.uid, latest_wake=latest)
                    if isinstance(answer, Busy):
                        self._stays(tenant, life, answer)
                        return
                    parked, next_wake = answer.parked, answer.next_wake
                elif decision.action == "ask":
                    life.ask_again = time.time() + FIRST_RETRY  # not all routers answer
                    return
                await self._stop(tenant, life, decision, parked, next_wake, addresses, pod.uid if pod else "")
        except ApiError as error:
            log.warning("tenant %s can't be scaled down: %s", key, error)
            life.ask_again = time.time() + FIRST_RETRY
        finally:
            life.suspending = False

    def _stays(self, tenant: TenantRecord, life: Life, answer: Busy) -> None:
        retry = answer.retry_after or min(FIRST_RETRY * 2**life.refusals, LAST_RETRY)
        life.refusals += 1
        life.ask_again = time.time() + retry
        life.idle = (answer.reason, answer.message)
        self._world.metrics.suspends.labels(answer.reason.lower()).inc()
        self._world.queue.add(tenant_key(*tenant.key))

    async def _stop(
        self,
        tenant: TenantRecord,
        life: Life,
        decision: Decision,
        parked: int,
        next_wake: float | None,
        addresses: list[tuple[str, int]],
        uid: str,
    ) -> None:
        now = time.time()
        if next_wake is not None:
            life.next_wake = next_wake
        elif life.next_wake is not None and life.next_wake <= now:
            life.next_wake = 0.0  # it was up at that time; or it can't come up, and must not try for ever
        message = life.sleep_note = decision.message
        if decision.reason == "IdleTimeout":
            life.sleep_note = sleep_note(decision.idle_for)
            message = asleep_message(now, decision.idle_for, parked, life.next_wake or 0.0)
        before = life.idle, life.slept
        life.idle, life.slept, life.parked, life.refusals = (decision.reason, message), True, parked, 0
        life.scaled_down = now
        for attempt in range(SCALES):
            try:
                await self._children.scale(tenant.namespace, tenant.name, 0)
                break
            except (ApiError, asyncio.CancelledError) as error:
                if attempt == SCALES - 1 or not isinstance(error, ApiError):
                    # Clients are parked for a gateway that goes on: give it back to them.
                    life.idle, life.slept = before
                    if uid and addresses:
                        await reopen(self._routers, addresses, f"{tenant.namespace}/{tenant.name}", uid)
                    raise
        life.scaled_down = time.time()
        life.ask_again = 0.0
        life.wake_reason = "Connection"
        self._world.metrics.suspends.labels(decision.reason.lower()).inc()
        log.info("tenant %s/%s: %s", tenant.namespace, tenant.name, message)

    async def _help_wake(self, tenant: TenantRecord, activity: Activity, now: float) -> None:
        """Scale up for a router that waits: its scaling may have been undone by ours in the same moment."""
        key = f"{tenant.namespace}/{tenant.name}"
        if not activity.of(key).waking or tenant.power == "Suspended":
            self._wanted.pop(tenant.key, None)
            return
        if now - self._wanted.setdefault(tenant.key, now) < FORGOTTEN_WAKE:
            return
        log.info("tenant %s: a router waits for its wake, which is done again", key)
        life = self._world.lives.of(tenant.key)
        life.wake_reason = "Connection"
        try:
            await self._children.scale(tenant.namespace, tenant.name, 1)
        except ApiError as error:
            log.warning("tenant %s can't be woken: %s", key, error)
            return
        self._wanted.pop(tenant.key, None)

    def _measure(self, view: TenantView, life: Life, policy: Policy) -> None:
        pod = view.pod
        if pod is None or not pod.ready or pod.uid in self._measured:
            return
        self._measured.add(pod.uid)
        if len(self._measured) > 10_000:
            self._measured.clear()
        if pod.created and pod.ready_since >= pod.created:
            # Whole seconds, both of them: one more is the most that it can have been.
            self._timers.measured(policy.runtime, pod.ready_since - pod.created + 1.0)

    def _policy(self, tenant: TenantRecord) -> Policy:
        template = self._world.cache.template((tenant.namespace, tenant.template))
        versions = tenant.version, template.version if template is not None else 0
        known = self._policies.get(tenant.key)
        if known is not None and known.versions == versions:
            return known.policy
        spec = msgspec.json.decode(tenant.source)["spec"]
        model = msgspec.json.decode(template.source)["spec"] if template is not None else {}
        timeout = (spec.get("idle") or {}).get("timeout") or (model.get("idle") or {}).get("timeout") or DEFAULT_IDLE
        policy = Policy(
            tenant.power,
            _seconds(timeout, DEFAULT_IDLE),
            _seconds((model.get("wake") or {}).get("timeout") or DEFAULT_WAKE, DEFAULT_WAKE),
            str(model.get("runtime") or "native"),
            self._routers.configured,
        )
        self._policies[tenant.key] = _KnownPolicy(versions, policy)
        return policy


def _seconds(text: object, default: str) -> float:
    try:
        return parse_duration(str(text))
    except ValueError:
        return parse_duration(default)
