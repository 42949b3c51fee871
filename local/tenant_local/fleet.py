"""The fleet of one machine: Tenant files in, gateway processes out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path

from tenant_api.config import ConfigError
from tenant_api.loaded import FileError
from tenant_router.activity import Activity
from tenant_router.fleet import GatewayAddress, TenantRecord, TokenMatch, WakeFailed

from . import cgroup, logfile
from .confine import probe
from .idle import idle_for
from .layout import DataLayout, replace
from .life import Incarnation, TenantLife
from .registry import Edit, Registry, Resolved
from .runtimes import native, openclaw
from .runtimes.recipe import Recipe, RuntimeMissing
from .settings import MAX_LOG, LocalSettings
from .spares import Spares
from .starting import Starter
from .states import Description, State, Why
from .watch import watch

log = logging.getLogger(__name__)

Revoked = Callable[[str, frozenset[str] | None], None]
"""Hears that tokens of a tenant stopped working, by their names (None: all of them), so that their sockets are closed."""
Reported = Callable[[list[FileError]], None]
"""Hears what is wrong in the Tenant files, after each reading of them; an empty list: nothing any more."""


class NotConfinable(Exception):
    """Tenants can't be kept apart on this machine; the text says why and what to do."""


class LocalFleet:
    """Implements `tenant_router.fleet.Fleet` with child processes. One per process; every method on its event loop.

    Parameters
    ----------
    activity
        What the router saw of each tenant; decides who is idle.
    confinement
        How gateways are confined, in the place of the best that works here.
    recipes
        How each runtime is started, in the place of what is installed.
    revoked, reported
        See `Revoked` and `Reported`.
    """

    def __init__(
        self,
        settings: LocalSettings,
        activity: Activity,
        *,
        recipes: Mapping[str, Recipe] | None = None,
        confinement: probe.Confinement | None = None,
        revoked: Revoked | None = None,
        reported: Reported | None = None,
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
        self._wanted = confinement
        self.confinement = probe.NONE

    # Start and stop

    async def start(self) -> None:
        """Read the files, find out how tenants can be kept apart, and begin to serve.

        Raises
        ------
        DataError
            The data folder can't be used.
        NotConfinable
            Several tenants, nothing to keep them apart, and not told `unconfined`.
        """
        key = self._layout.open()
        self.confinement = self._wanted or await probe.probe(self._layout.stage)
        edit = self._registry.apply(await asyncio.to_thread(self._registry.read))
        self._reported(self._registry.errors)
        self._refuse_mixing(len(edit.added))
        recipes = self._recipes if self._recipes is not None else _installed()
        ready_made = [recipe for recipe in recipes.values() if isinstance(recipe, Recipe) and recipe.preload]
        confined = self.confinement.isolates and not self.settings.unconfined
        self._starter = Starter(
            settings=self.settings,
            layout=self._layout,
            master_key=key,
            registry=self._registry,
            recipes=recipes,
            confinement=self.confinement if confined else None,
            cgroups=cgroup.find(),
            spares=Spares(
                self.confinement.flags if confined else "",
                ready_made[0].preload if ready_made else (),
                ready_made[0].path if ready_made else (),
                self.settings.spares if ready_made else 0,
            ),
            ports={},
        )
        for name in edit.added:
            self._add(name)
        self._own(watch(self._directory(), self.reload), "watch Tenant files")
        self._own(self._keep(), "keep gateways")
        self._own(self._starter.spares.fill(), "fill spares")

    async def stop(self, deadline: float) -> None:
        """End all gateways gracefully and wait for them; those that still run after `deadline` seconds are killed."""
        self._stopping = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
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

    def _hurry(self) -> None:
        for life in self._lives.values():
            life.hurry()

    def _directory(self) -> Path:
        directory = self.settings.directory
        return directory if directory.is_dir() else directory.parent

    def _refuse_mixing(self, tenants: int) -> None:
        if tenants > 1 and not self.confinement.isolates and not self.settings.unconfined:
            raise NotConfinable(
                f"{tenants} tenants can't be kept apart on this machine ({self.confinement.why_not}): "
                "serve one, or run with --unconfined if they may see each other's data"
            )

    def _own(self, coroutine: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_report_failure)

    # The router's questions (tenant_router.fleet.Fleet)

    def find(self, digest: bytes) -> TokenMatch | None:
        """Return who has the token with this SHA-256 digest."""
        return self._registry.find(digest)

    def find_host(self, host: str) -> TenantRecord | None:
        """Return the tenant `NAME` for the host names `NAME.localhost`, which browsers resolve to this machine."""
        name, dot, rest = host.partition(".")
        found = self._registry.get(name) if dot and rest == "localhost" else None
        return found.record() if found is not None else None

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
        if not self.confinement.isolates and not self.settings.unconfined and len(self._registry.names()) > 1:
            raise WakeFailed(f"tenants can't be kept apart on this machine: {self.confinement.why_not}")
        return (await self._lives[key].wake(reason)).address

    def ended(self, address: GatewayAddress) -> str | None:
        """Return why this incarnation is gone, or None while it may still answer."""
        for life in self._lives.values():
            if life.gateway is not None and life.gateway.address.uid == address.uid:
                return life.gateway.killed
        for life in self._lives.values():
            if (why := life.why_ended(address.uid)) is not None:
                return why
        return "it was replaced by a newer one"

    def greeted(self, address: GatewayAddress) -> None:
        """Hear from the router that this incarnation has said hello."""
        for life in self._lives.values():
            if life.gateway is not None and life.gateway.address.uid == address.uid:
                life.greeted(life.gateway)

    def gave_up(self, address: GatewayAddress, reason: str) -> None:
        """Hear that this incarnation said no hello in time: it is killed, and the next wake starts anew."""
        for life in self._lives.values():
            if life.gateway is not None and life.gateway.address.uid == address.uid:
                life.give_up(life.gateway, reason)

    # What people ask for

    async def suspend(self, name: str, reason: str) -> None:
        """Put a tenant's gateway to sleep and wait until it sleeps. The next request wakes it again.

        Raises
        ------
        UnknownTenant
            There is none of this name.
        """
        self._registry.resolve(name)
        await self._lives[name].suspend(reason)

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
        found, life = self._registry.resolve(name), self._lives[name]
        seen = self._activity.tenants.get(name)
        spec = found.tenant.spec
        return Description(
            name=name,
            user_id=spec.user_id,
            template=f"{found.template.name}:{found.template.spec.version}",
            runtime=found.template.spec.runtime,
            power=spec.power,
            state=life.state,
            since=life.since,
            reason=life.reason,
            pid=life.gateway.started.launcher.warden.pid if life.gateway is not None else None,
            port=life.gateway.address.port if life.gateway is not None else None,
            connections=seen.connections if seen is not None else 0,
            last_request=seen.last_request if seen is not None else 0.0,
            idle_timeout=found.idle_timeout,
            tokens=len(spec.tokens),
            wakes=life.wakes,
            last_wake=life.last_wake,
            last_failure=life.last_failure,
            problem="; ".join(str(error) for error in self.errors if error.name == name),
        )

    def why(self, name: str) -> Why:
        """Return the story of a tenant: what it does, why, what happened before, and what comes next.

        Raises
        ------
        UnknownTenant
            There is none of this name.
        """
        described, life = self.describe(name), self._lives[name]
        return Why(described, tuple(life.history), self.logs(name, 20), self._next(name, described, life))

    def _next(self, name: str, described: Description, life: TenantLife) -> str:
        if described.power == "Suspended":
            return "nothing wakes it: spec.power is Suspended"
        if life.state is State.FAILED and (wait := life.backoff.wait(time.monotonic())) > 0:
            return f"the first request after {wait:.0f} s tries again"
        if life.state in (State.ASLEEP, State.FAILED):
            return "the next request with one of its tokens wakes it"
        if described.power == "AlwaysOn":
            return "it stays awake: spec.power is AlwaysOn"
        if described.connections:
            return f"it stays awake while {described.connections} connections are open"
        quiet = self._idle_for(name, life)
        return f"it goes to sleep in {max(0.0, described.idle_timeout - (quiet or 0.0)):.0f} s unless somebody asks something"

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
            await asyncio.gather(*(self._remove(name) for name in edit.removed))
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
            replace(life.paths.config, config)
            gateway.started.config = config
            log.info("%s: the config changed", life.name)

    # Keeping

    async def _keep(self) -> None:
        """Put to sleep who is idle or suspended, keep awake who is always on, keep logs small."""
        running: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                for name in [name for name, task in running.items() if task.done()]:
                    del running[name]
                for name, life in list(self._lives.items()):
                    found = self._registry.get(name)
                    if found is None or name in running:
                        continue
                    logfile.rotate(life.paths.log, MAX_LOG)
                    action = self._action(name, life, found)
                    if action is not None:
                        task = running[name] = asyncio.get_running_loop().create_task(action, name=f"keep {name}")
                        task.add_done_callback(_report_failure)
                await asyncio.sleep(self.settings.idle_check)
        finally:
            tasks = list(running.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _action(self, name: str, life: TenantLife, found: Resolved) -> Coroutine[None, None, None] | None:
        power = found.tenant.spec.power
        if power == "Suspended":
            return life.suspend("spec.power is Suspended") if life.gateway is not None else None
        if power == "AlwaysOn":
            return self._stay_awake(name) if life.gateway is None and life.backoff.wait(time.monotonic()) == 0 else None
        quiet = self._idle_for(name, life)
        if quiet is not None and quiet >= found.idle_timeout:
            return life.suspend(f"idle for {quiet:.0f} s")
        return None

    async def _stay_awake(self, name: str) -> None:
        with contextlib.suppress(WakeFailed):
            await self.wake(name, "spec.power is AlwaysOn")

    def _idle_for(self, name: str, life: TenantLife) -> float | None:
        gateway = life.gateway
        if gateway is None or gateway.awake_since is None or gateway.stopping is not None:
            return None
        return idle_for(self._activity.tenants.get(name), gateway.awake_since, time.time())


def _installed() -> dict[str, Recipe | RuntimeMissing]:
    recipes: dict[str, Recipe | RuntimeMissing] = {}
    for name, recipe in (("native", native.recipe), ("openclaw", openclaw.recipe)):
        try:
            recipes[name] = recipe()
        except RuntimeMissing as error:
            recipes[name] = error
    return recipes


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s ended with an error of ours", task.get_name(), exc_info=error)


def _log(edit: Edit) -> None:
    for what, names in (("added", edit.added), ("removed", edit.removed), ("changed", edit.changed)):
        if names:
            log.info("%s: %s", what, ", ".join(sorted(names)))
