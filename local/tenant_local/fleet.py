"""The fleet of one machine: Tenant files in, gateway processes out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping, Set
from pathlib import Path

from tenant_api.config import ConfigError
from tenant_api.loaded import FileError
from tenant_router.activity import Activity
from tenant_router.expiries import tell_expired
from tenant_router.fleet import GatewayAddress, TenantRecord, TokenMatch, WakeFailed
from tenant_router.suspend.control import ControlFailed
from tenant_router.suspend.conversation import Suspends
from tenant_router.wake.waker import WakeKind

from . import cgroup, logfile
from .apart import mixes, refuse_exposure, refuse_mixing
from .confine import policy, probe, seccomp
from .keeper import Keeper
from .layout import DataLayout, replace
from .life import Incarnation, TenantLife
from .registry import Edit, Registry, Resolved
from .runtimes import INSTALLED
from .runtimes.recipe import Recipe, Recipes
from .settings import LocalSettings
from .sleep import put_to_sleep
from .spares import Spares
from .starting import Starter
from .states import Description, Why
from .telling import describe, upcoming
from .watch import watch

log = logging.getLogger(__name__)

UNNOTICED = 3
AGAIN = 0.5
"""How often, and after how many seconds, an operator's suspend tries to go unnoticed before clients hear of it."""
Revoked = Callable[[str, frozenset[str] | None], None]
"""Hears that tokens of a tenant stopped working, by their names (None: all of them), so that their sockets are closed."""
Reported = Callable[[list[FileError]], None]
"""Hears what is wrong in the Tenant files, after each reading of them; an empty list: nothing any more."""


class LocalFleet:
    """Implements `tenant_router.fleet.Fleet` with child processes. One per process; every method on its event loop.

    Parameters
    ----------
    activity
        What the router saw of each tenant; decides who is idle.
    confinement
        How gateways are confined, in the place of the best that works here.
    recipes
        How each runtime is started, in the place of `runtimes.INSTALLED`.
    revoked, reported
        See `Revoked` and `Reported`.
    suspends
        Returns the router's conversation, by which gateways go to sleep unnoticed; without it they sleep only when
        nobody is connected.
    """

    def __init__(
        self,
        settings: LocalSettings,
        activity: Activity,
        *,
        recipes: Mapping[str, Callable[[], Recipe]] | None = None,
        confinement: probe.Confinement | None = None,
        revoked: Revoked | None = None,
        reported: Reported | None = None,
        suspends: Callable[[], Suspends] | None = None,
    ) -> None:
        self.settings = settings
        self._activity = activity
        self._recipes = recipes
        self._revoked = revoked or (lambda name, tokens: None)
        self._reported = reported or (lambda errors: None)
        self._layout = DataLayout(settings.data)
        self._registry = Registry(settings.directory)
        self._lives: dict[str, TenantLife] = {}
        self._starter: Starter | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._turn = asyncio.Lock()
        self._suspends = suspends
        self._keeper = Keeper(
            self._lives, self._registry, activity, self._wake_by_itself, settings.idle_check, suspends
        )
        self._wanted = confinement
        self.confinement = probe.NONE

    # Start and stop

    async def start(self) -> None:
        """Read the files, find out how tenants can be kept apart, and begin to serve.

        Raises
        ------
        DataError
            The data folder can't be used, or every gateway would see it.
        NotConfinable
            Several tenants, nothing to keep them apart, and not told `unconfined`.
        """
        key = self._layout.open()
        self.confinement = self._wanted or await probe.probe(self._layout.stage)
        edit = self._registry.apply(await asyncio.to_thread(self._registry.read))
        self._reported(self._registry.errors)
        refuse_mixing(len(edit.added), self.confinement, self.settings)
        system = policy.system_paths()
        refuse_exposure([*system, *self.settings.visible], self.settings)
        recipes = Recipes(self._recipes if self._recipes is not None else INSTALLED)
        ready_made = recipes.preloading()
        confined = self.confinement.isolates
        self._starter = Starter(
            settings=self.settings,
            layout=self._layout,
            master_key=key,
            registry=self._registry,
            recipes=recipes,
            confinement=self.confinement if confined else None,
            system=system,
            program=seccomp.build(self.confinement.unix_sockets) if confined else b"",
            cgroups=cgroup.find(),
            spares=Spares(
                self.confinement.flags if confined else "",
                ready_made.preload if ready_made else (),
                ready_made.path if ready_made else (),
                self.settings.spares if ready_made else 0,
            ),
            ports={},
        )
        self._starter.sweep()
        for name in edit.added:
            self._add(name)
        self._own(watch(self._directory(), self.reload), "watch Tenant files")
        self._own(tell_expired(self._registry.expired, self._revoked), "token expiry")
        self._own(self._keeper.run(), "keep gateways")
        self._own(self._starter.spares.fill(), "fill spares")

    async def stop(self, deadline: float) -> None:
        """End all gateways gracefully and wait for them; those that still run after `deadline` seconds are killed."""
        self._stopping = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if deadline > 0 and self._suspends is not None:
            await asyncio.gather(*(self._keep_timer(self._suspends(), life) for life in self._lives.values()))
        loop = asyncio.get_running_loop()
        timer = loop.call_later(deadline, self._hurry)
        try:
            await asyncio.gather(*(life.suspend("the fleet was stopped") for life in self._lives.values()))
        finally:
            timer.cancel()
        for life in self._lives.values():
            await life.close()
        if self._starter is not None:
            await self._starter.spares.close()

    async def _keep_timer(self, suspends: Suspends, life: TenantLife) -> None:
        """Ask an awake gateway for its next job, so that the next fleet wakes it in time."""
        if self.awake(life.name) is not None:
            with contextlib.suppress(ControlFailed):
                life.timer.keep(await suspends.next_wake(life.name))

    def _hurry(self) -> None:
        for life in self._lives.values():
            life.hurry()

    def _directory(self) -> Path:
        directory = self.settings.directory
        return directory if directory.is_dir() else directory.parent

    def _own(self, coroutine: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_report_failure)

    # The router's questions (tenant_router.fleet.Fleet)

    def find(self, digest: bytes) -> TokenMatch | None:
        """Return who has the token with this SHA-256 digest."""
        return self._registry.find(digest)

    def knows(self, key: str) -> bool:
        """Tell whether there is such a tenant."""
        return key in self._lives

    def passive_methods(self, key: str) -> Set[str]:
        """Return the methods whose requests are no use of this tenant, as its template has them now."""
        found = self._registry.get(key)
        return frozenset() if found is None else found.passive_methods

    def awake(self, key: str) -> GatewayAddress | None:
        """Return the address of a gateway that has answered and was not asked to end."""
        gateway = self._running(key)
        return gateway.address if gateway is not None and gateway.awake_since is not None else None

    def _running(self, key: str) -> Incarnation | None:
        life = self._lives.get(key)
        gateway = life.gateway if life is not None else None
        return gateway if gateway is not None and gateway.stopping is None and gateway.killed is None else None

    async def wake(self, key: str, reason: str) -> GatewayAddress:
        """Start the tenant's gateway if need be and return as soon as there is an address to dial.

        Raises
        ------
        WakeFailed
            It can't be started (now).
        """
        found = self._registry.get(key)
        if found is None:
            raise WakeFailed(f"there is no tenant {key!r}")
        if found.tenant.spec.power == "Suspended":
            raise WakeFailed("the tenant is suspended (spec.power)")
        if self._stopping:
            raise WakeFailed("the fleet is stopping")
        if mixes(len(self._registry.names()), self.confinement, self.settings):
            raise WakeFailed(f"tenants can't be kept apart on this machine: {self.confinement.why_not}", lasting=True)
        return (await self._lives[key].wake(reason)).address

    async def _wake_by_itself(self, name: str, kind: WakeKind, reason: str) -> GatewayAddress:
        """Wake a tenant that nobody asks for, in its turn with the others."""
        if self._suspends is None:
            return await self.wake(name, reason)
        return await self._suspends().wake(self.record(name), kind, reason)

    def ended(self, address: GatewayAddress) -> str | None:
        """Return why this incarnation is gone, or None while it may still answer."""
        life = self._life(address)
        if life is None:
            return "the tenant was removed"
        if life.gateway is not None and life.gateway.address.uid == address.uid:
            return life.gateway.killed
        return life.why_ended(address.uid) or "it was replaced by a newer one"

    def _life(self, address: GatewayAddress) -> TenantLife | None:
        return self._lives.get(address.uid.partition("/")[0])

    def greeted(self, address: GatewayAddress) -> None:
        """Hear from the router that this incarnation has said hello."""
        life = self._life(address)
        if life is not None and life.gateway is not None and life.gateway.address.uid == address.uid:
            life.greeted(life.gateway)

    def gave_up(self, address: GatewayAddress, reason: str) -> None:
        """Hear that this incarnation said no hello in time: it is killed, and the next wake starts anew."""
        life = self._life(address)
        if life is not None and life.gateway is not None and life.gateway.address.uid == address.uid:
            life.give_up(life.gateway, reason)

    # What people ask for

    async def suspend(self, name: str, reason: str) -> None:
        """Put a tenant's gateway to sleep and wait until it sleeps. The next request wakes it again.

        Raises
        ------
        UnknownTenant
            There is none of this name.
        """
        runtime = self._registry.resolve(name).template.spec.runtime
        life = self._lives[name]
        if self._suspends is not None and life.gateway is not None and life.gateway.awake_since is not None:
            for _ in range(UNNOTICED):
                later = await put_to_sleep(self._suspends(), life, runtime, reason, at_once=True)
                if later is None:
                    return
                log.info("%s can't sleep unnoticed: %s", name, later.why)
                await asyncio.sleep(AGAIN)
        await life.suspend(reason)

    def names(self) -> list[str]:
        """Return the names of all tenants, sorted."""
        return self._registry.names()

    @property
    def errors(self) -> list[FileError]:
        """What is wrong in the Tenant files now."""
        return self._registry.errors

    def record(self, name: str) -> TenantRecord:
        """Return a tenant as the router sees it.

        Raises
        ------
        UnknownTenant
            There is none of this name.
        """
        return self._registry.resolve(name).record()

    def describe(self, name: str) -> Description:
        """Return what a tenant is and does.

        Raises
        ------
        UnknownTenant
            There is none of this name.
        """
        found = self._registry.resolve(name)
        return describe(found, self._lives[name], self._activity.tenants.get(name), self.errors)

    def why(self, name: str) -> Why:
        """Return the story of a tenant: what it does, why, what happened before, and what comes next.

        Raises
        ------
        UnknownTenant
            There is none of this name.
        """
        described, life = self.describe(name), self._lives[name]
        following = upcoming(described, life, self._keeper.idle_for(life), self._keeper.why_awake(name))
        return Why(described, tuple(life.history), self.logs(name, 20), following)

    def logs(self, name: str, lines: int, limit: int = 256 * 1024) -> str:
        """Return the last lines that a tenant's gateway printed, at most `limit` bytes.

        Raises
        ------
        UnknownTenant
            There is none of this name.
        """
        self._registry.resolve(name)
        return logfile.tail(self._layout.tenant(name).log, limit, lines)

    # Edits

    async def reload(self) -> None:
        """Read the files again and apply what changed. A broken file is reported and changes nothing."""
        async with self._turn:
            edit = self._registry.apply(await asyncio.to_thread(self._registry.read))
            self._reported(self._registry.errors)
            for name, tokens in edit.revoked.items():
                self._revoked(name, None if name in edit.removed else tokens)
            for name in edit.added:
                self._add(name)
            for name in edit.removed:
                # Its grace may be minutes long; other edits don't wait for it.
                self._own(self._remove(name), f"remove {name}")
            for name in edit.changed:
                self._apply(self._lives[name], self._registry.resolve(name))
            _log(edit)

    def _add(self, name: str) -> None:
        assert self._starter is not None
        if name not in self._lives:
            self._lives[name] = TenantLife(name, self._layout.tenant(name), self._starter)

    async def _remove(self, name: str) -> None:
        life = self._lives[name]
        await life.suspend("the tenant was removed")
        await life.close()
        if self._registry.get(name) is None:
            del self._lives[name]

    def _apply(self, life: TenantLife, found: Resolved) -> None:
        """Bring an edit to a running gateway: its config file is replaced, and it reloads it by itself."""
        assert self._starter is not None
        life.backoff.reset()
        if found.tenant.spec.power == "Suspended":
            self._revoked(life.name, None)
        gateway = self._running(life.name)
        # Another runtime, image or environment comes with the next start.
        if gateway is None or gateway.started.runtime != found.template.spec.runtime:
            return
        try:
            config = self._starter.render(found, gateway.address.port)
        except ConfigError as error:
            log.error("%s keeps its old config: %s", life.name, error)
            return
        if config != gateway.started.config:
            try:
                replace(life.paths.config, config)
            except OSError as error:
                # The gateway may write in that folder too, so anything may be there.
                log.error("%s keeps its old config: %s: %s", life.name, life.paths.config, error.strerror)
                return
            gateway.started.config = config
            log.info("%s: the config changed", life.name)


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s ended with an error of ours", task.get_name(), exc_info=error)


def _log(edit: Edit) -> None:
    for what, names in (("added", edit.added), ("removed", edit.removed), ("changed", edit.changed)):
        if names:
            log.info("%s: %s", what, ", ".join(sorted(names)))
