"""From a tenant's resources to a running gateway process."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import resource
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tenant_api.config import ConfigError, GatewaySettings
from tenant_api.config.render import render_config
from tenant_api.egress import parse_egress
from tenant_api.identity import identity_secret, identity_user
from tenant_api.quantities import parse_quantity

from . import environment, lock, logfile, volume
from .cgroup import Cgroups
from .child import Stranger
from .confine import policy
from .confine.probe import Confinement
from .layout import DataError, DataLayout, TenantPaths, holds, replace
from .process import Launcher, LaunchFailed, Plan, close_all
from .registry import Registry, Resolved
from .runtimes.recipe import Recipe, Recipes, RuntimeMissing
from .settings import KILL_TIMEOUT, MAX_LOG, TAKEOVER_GRACE, LocalSettings
from .spares import Spares
from .states import WakeTiming

MAX_FILES = 65536
"""RLIMIT_NOFILE of a gateway, as far as the fleet's own hard limit allows."""
MAX_PROCESSES = 1024
"""Processes of one tenant where the OS counts them; a fork bomb ends there. Upstream has 3, an agent's build a few dozen."""


class StartFailed(Exception):
    """A gateway can't be started; the text says why in words a person can act on."""

    def __init__(self, text: str, counts: bool = True) -> None:
        super().__init__(text)
        self.counts = counts
        """Whether trying again soon would most likely fail the same way."""

    @property
    def lasting(self) -> bool:
        """A person has to mend it: what does not count is files and settings, which are looked at anew at each try."""
        return not self.counts


@dataclass(slots=True)
class Started:
    """A gateway process that was told what to become."""

    launcher: Launcher
    port: int
    user: str
    runtime: str
    grace: float
    wake_timeout: float
    log_offset: int
    config: bytes
    """What the fleet last wrote as its config."""


@dataclass(slots=True)
class Starter:
    """Starts gateways."""

    settings: LocalSettings
    layout: DataLayout
    master_key: bytes
    registry: Registry
    recipes: Recipes
    confinement: Confinement | None
    """How gateways are confined; None: not at all."""
    system: Sequence[Path]
    """What every gateway sees (`policy.system_paths`)."""
    program: bytes
    """The system call filter (`seccomp.build`)."""
    cgroups: Cgroups
    spares: Spares
    ports: dict[str, int]
    """Port of each running gateway, by tenant."""

    def user(self, name: str) -> str:
        """Return the identity that the router shows this tenant's gateway."""
        return identity_user(name, identity_secret(self.master_key, self.layout.tenant(name).uid()))

    def render(self, found: Resolved, port: int) -> bytes:
        """Return the config file of a tenant's gateway on this port.

        Raises
        ------
        ConfigError
            It can't be rendered.
        """
        name = found.tenant.name
        settings = GatewaySettings(
            user=self.user(name),
            port=port,
            bind="loopback",
            trusted_proxies=("127.0.0.1",),
            allow_loopback=True,
            allowed_origins=self.settings.allowed_origins or ("*",),
            runtime=found.template.spec.runtime,
            workspace=str(self.layout.tenant(name).state / "workspace"),
        )
        return json.dumps(render_config(found.template, found.tenant, settings), indent=2).encode()

    def recipe(self, found: Resolved) -> Recipe:
        """Return how the tenant's runtime is started.

        Raises
        ------
        StartFailed
            The runtime is not installed.
        """
        try:
            return self.recipes.get(found.template.spec.runtime)
        except RuntimeMissing as error:
            raise StartFailed(str(error), counts=False) from error

    async def start(self, name: str, paths: TenantPaths, timing: WakeTiming) -> Started:
        """Make what the gateway needs, start it and return as soon as there is a port to dial.

        Raises
        ------
        StartFailed
            It can't be started.
        """
        found = self.registry.get(name)
        if found is None:
            raise StartFailed("the tenant was removed", counts=False)
        recipe = self.recipe(found)
        taking = asyncio.get_running_loop().create_task(self.spares.take(preload=bool(recipe.preload)))
        held: int | None = None
        try:
            await self._prepare(found, paths)
            held = await self._take_lock(paths)
            launcher = await taking
        except BaseException as error:
            # Also when it came at the very moment in which the caller lost interest.
            self.spares.give_back(taking)
            if held is not None:
                os.close(held)
            if isinstance(error, LaunchFailed):
                raise StartFailed(str(error)) from error
            raise
        timing.prepared = timing.mark()
        return self._become(found, recipe, paths, launcher, held, timing)

    async def _prepare(self, found: Resolved, paths: TenantPaths) -> None:
        try:
            paths.make()
            paths.claim(found.tenant.spec.user_id)
            if not paths.state.exists():
                await asyncio.to_thread(volume.make_volume, found.source, paths.state)
        except (DataError, volume.VolumeError) as error:
            raise StartFailed(str(error), counts=False) from error
        except OSError as error:
            raise StartFailed(f"{error.filename or paths.root}: {error.strerror}", counts=False) from error
        logfile.rotate(paths.log, MAX_LOG)

    async def _take_lock(self, paths: TenantPaths) -> int:
        """Return the held lock; a gateway that an earlier fleet left behind is ended first."""
        held = lock.acquire(paths.lock)
        if held is not None:
            return held
        old = lock.holder(paths.lock)
        if old is not None:
            await _end_stranger(old)
        deadline = asyncio.get_running_loop().time() + TAKEOVER_GRACE
        while (held := lock.acquire(paths.lock)) is None:
            if asyncio.get_running_loop().time() > deadline:
                raise StartFailed(
                    f"another process holds {paths.lock}: a gateway of another `openclaw-tenancy up` on the same data folder",
                )
            await asyncio.sleep(0.02)
        return held

    def _become(
        self, found: Resolved, recipe: Recipe, paths: TenantPaths, launcher: Launcher, held: int, timing: WakeTiming
    ) -> Started:
        name = found.tenant.name
        descriptors = {"lock": held}
        listener: socket.socket | None = None
        try:
            listener = _listener(paths.last_port())
            port: int = listener.getsockname()[1]
            config = self.render(found, port)
            # Upstream checks and migrates anew whatever config it has not seen before, which costs 1.5 s of CPU.
            if not holds(paths.config, config):
                replace(paths.config, config)
            paths.keep_port(port)
            env = self._environment(found, recipe, paths)
            if found.template.spec.runtime == "native":  # upstream takes variables from more places, and says so itself
                own = found.tenant.spec.credentials
                environment.require(json.loads(config), env, own.secret_ref.name if own is not None else "")
            confine = self._confine(found, recipe, paths, port, json.loads(config), env)
            lock.record(paths.lock, launcher.warden.pid)
            descriptors["log"] = logfile.open_log(paths.log)
            offset = paths.log.stat().st_size
            if recipe.inherits_socket:
                env["LISTEN_FDS"] = "1"
                descriptors["listen"] = listener.detach()
            else:
                # Its own to bind; nobody else on this machine is likely to get the port in the next moment.
                listener.close()
            for index, descriptor in enumerate(self._limit(found)):
                descriptors[f"cgroup{index}"] = descriptor
            plan = Plan(
                run=recipe.run,
                env=env,
                cwd=paths.state,
                confine=confine,
                path=recipe.path,
                rlimits=self._rlimits(found, recipe),
                listens=recipe.inherits_socket,
            )
            launcher.become(plan, descriptors)
        except BaseException as error:
            launcher.close()
            launcher.kill()
            if listener is not None:
                listener.close()
            if isinstance(error, ConfigError | environment.SecretMissing | policy.PolicyError):
                raise StartFailed(str(error), counts=False) from error
            if isinstance(error, LaunchFailed | OSError):
                raise StartFailed(f"the gateway can't be started: {error}") from error
            raise
        finally:
            close_all(descriptors)
        timing.launched = timing.mark()
        self.ports[name] = port
        spec = found.template.spec
        return Started(launcher, port, self.user(name), spec.runtime, recipe.grace, spec.wake.timeout, offset, config)

    def _environment(self, found: Resolved, recipe: Recipe, paths: TenantPaths) -> dict[str, str]:
        secrets = self.registry.secrets(found)
        reference = found.tenant.spec.credentials
        credentials: Mapping[str, str] = {}
        if reference is not None:
            if reference.secret_ref.name not in secrets:
                raise environment.SecretMissing(
                    f"secret {reference.secret_ref.name!r} (spec.credentials) does not exist: add it to the Tenant files"
                )
            credentials = secrets[reference.secret_ref.name]
        memory = self._memory(found) if recipe.memory_option else None
        return environment.build(paths, found.template.spec.env, credentials, recipe.env, secrets, memory)

    def _confine(
        self,
        found: Resolved,
        recipe: Recipe,
        paths: TenantPaths,
        port: int,
        config: dict[str, object],
        env: dict[str, str],
    ) -> dict[str, object] | None:
        if self.confinement is None:
            return None
        if recipe.needs_tmp and not self.confinement.namespaces:
            raise policy.PolicyError(
                f"runtime {found.template.spec.runtime!r} needs a /tmp of its own, and this machine lets nobody make one: "
                f"{self.confinement.why_not or 'no namespaces'}. Allow user namespaces, or use runtime: native"
            )
        for path in recipe.read:
            if self.layout.root.resolve().is_relative_to(path):
                raise policy.PolicyError(
                    f"{self.layout.root} lies in {path}, which every gateway can read: move it elsewhere"
                )
        view = policy.View(
            read=[*self.system, *recipe.read, *self.settings.visible],
            write=paths.writable,
            tmp=paths.tmp,
            stage=self.layout.stage,
        )
        others = {other for name, other in self.ports.items() if name != found.tenant.name}
        connect = policy.connect_ports(
            config,
            found.template.metadata.annotations,
            env,
            self.settings.forbidden_ports | others,
            map(parse_egress, found.template.spec.egress),
        )
        return policy.confine(
            view,
            namespaces=self.confinement.namespaces,
            bind=() if recipe.inherits_socket else (port,),
            connect=(*connect, port),
            program=self.program,
        )

    def _memory(self, found: Resolved) -> int | None:
        limit = found.template.spec.resources.limits.get("memory")
        return int(parse_quantity(limit)) if limit is not None else None

    def _limit(self, found: Resolved) -> list[int]:
        return self.cgroups.make(self._group(found.tenant.name), self._memory(found), MAX_PROCESSES)

    def sweep(self) -> None:
        """Clean up what an earlier fleet on this data folder left behind when it was killed."""
        self.cgroups.sweep(self._group(""))

    def _group(self, name: str) -> str:
        # Two fleets of one machine may have tenants of one name.
        return f"{hashlib.sha256(str(self.layout.root).encode()).hexdigest()[:8]}-{name}"

    def _rlimits(self, found: Resolved, recipe: Recipe) -> list[tuple[int, int]]:
        limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, MAX_FILES)]
        memory = self._memory(found)
        if memory is not None and self.cgroups.memory is None and not recipe.memory_option:
            # The next best thing: per process, not per tenant. Node reserves far more than it uses, so not for Node.
            limits.append((resource.RLIMIT_DATA, memory))
        if self.confinement is not None and self.confinement.new_user:
            # Counted per user namespace; without one it would count all processes of the operator's user.
            limits.append((resource.RLIMIT_NPROC, MAX_PROCESSES))
        return limits

    def ended(self, name: str) -> None:
        """Clean up after a gateway's last process."""
        self.ports.pop(name, None)
        self.cgroups.remove(self._group(name))


def _listener(preferred: int) -> socket.socket:
    """Listen on the port that the tenant had last, so that its config stays the same, or on any other."""
    try:
        return socket.create_server(("127.0.0.1", preferred), backlog=256)
    except OSError:
        return socket.create_server(("127.0.0.1", 0), backlog=256)


async def _end_stranger(old: lock.Holder) -> None:
    try:
        stranger = Stranger(old.pid)
    except ProcessLookupError:
        return
    try:
        # The PID may have been given to somebody else between reading the file and opening the process.
        if lock.start_time(old.pid) != old.started:
            return
        stranger.signal(signal.SIGTERM)
        if not await stranger.wait(TAKEOVER_GRACE):
            stranger.signal(signal.SIGKILL)
            await stranger.wait(KILL_TIMEOUT)
    finally:
        stranger.close()
