"""The gateway of one tenant: its parts, and what goes between them."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from openclaw_protocol.frames import response
from openclaw_protocol.rejections import GatewayDraining
from tenant_gateway.config.document import Config, ConfigError, read_config
from tenant_gateway.recent import Recent
from tenant_gateway.server.client import Client, event_head
from tenant_gateway.settings import Settings
from tenant_gateway.storage.cron import CronStore
from tenant_gateway.storage.database import open_database
from tenant_gateway.storage.runs import QUEUED, RunRecord, RunStore
from tenant_gateway.storage.sessions import SessionStore
from tenant_gateway.storage.transcripts import Entry, TranscriptStore
from tenant_gateway.suspension import ACCEPTING, Suspension

if TYPE_CHECKING:
    from tenant_gateway.agent.lanes import Lanes
    from tenant_gateway.cron.scheduler import Scheduler
    from tenant_gateway.server.listener import ServerProtocol
    from tenant_gateway.tools.processes import Processes


_KEPT_RESPONSES: Final = 256
"""Ids of `/v1/responses` whose conversation `previous_response_id` can go on with."""


class Gateway:
    """Owns the configuration, the storage, the clients and the runs."""

    def __init__(self, settings: Settings, config: Config) -> None:
        self.settings = settings
        self.config = config
        self.log = logging.getLogger("tenant_gateway")
        self.boot_id = str(uuid.uuid4())
        self.port = 0
        """The port that is listened on."""
        self.started = time.monotonic()
        self.started_at_ms = time.time_ns() // 1_000_000
        self.clients: set[Client] = set()
        self.connections: set[ServerProtocol] = set()
        self.database: sqlite3.Connection = open_database(settings.database)
        self.sessions = SessionStore(self.database)
        self.transcripts = TranscriptStore(self.database)
        self.runs = RunStore(self.database)
        self.cron = CronStore(self.database)
        self.secret = self._secret()
        self.config_writes: deque[float] = deque()
        self.http_responses: Recent[str] = Recent(_KEPT_RESPONSES)
        self.health_version = 1
        self.presence_version = 1
        self.draining = False
        self.suspension = Suspension(self)
        self._lanes: Lanes | None = None
        self._processes: Processes | None = None
        self._scheduler: Scheduler | None = None
        self._waiting: list[RunRecord] = []
        self._interrupted_runs()

    @property
    def lanes(self) -> Lanes:
        """The runs, queued by session. Imported when the first run starts."""
        if self._lanes is None:
            from tenant_gateway.agent.lanes import Lanes

            self._lanes = Lanes(self)
        return self._lanes

    @property
    def active_runs(self) -> int:
        """How many runs are queued or under way."""
        return 0 if self._lanes is None else self._lanes.count()

    @property
    def background_processes(self) -> int:
        """How many commands of the agent run in the background."""
        return 0 if self._processes is None else self._processes.running

    @property
    def scheduler(self) -> Scheduler:
        """The clock of the cron jobs. Imported when there is a job."""
        if self._scheduler is None:
            from tenant_gateway.cron.scheduler import Scheduler

            self._scheduler = Scheduler(self)
        return self._scheduler

    @property
    def processes(self) -> Processes:
        """The commands that the agent runs. Imported when the first one starts."""
        if self._processes is None:
            from tenant_gateway.tools.processes import Processes

            self._processes = Processes()
        return self._processes

    def _secret(self) -> bytes:
        row = self.database.execute("SELECT value FROM meta WHERE name = 'secret'").fetchone()
        if row is not None:
            return bytes(row[0])
        secret = os.urandom(32)
        self.database.execute("INSERT INTO meta VALUES ('secret', ?)", (secret,))
        return secret

    def _interrupted_runs(self) -> None:
        """Take up what a gateway before this one left: what waited goes on waiting, what had begun is closed.

        A turn that had begun is not begun again, since its tools may have done half of their work; its message is in the
        transcript.
        """
        self.runs.prune()
        records = self.runs.unfinished()
        self._waiting = [record for record in records if record.status == QUEUED]
        for record in records:
            if record.status == QUEUED:
                continue
            outcome = {"error": "interrupted by a gateway restart", "stopReason": "restart"}
            self.runs.finish(record.run_id, "error", outcome)
            session = self.sessions.get(record.session_key)
            if session is not None:
                session.state.update(status="failed", abortedLastRun=True, lastRunId=record.run_id)
                self.sessions.save(session)

    def resume(self) -> None:
        """Begin what waits since the gateway before this one, and the clock of the cron jobs."""
        if self._waiting:
            from tenant_gateway.agent.accept import resume

            resume(self, self._waiting)
            self._waiting = []
        if self.cron.next_due() is not None:
            self.scheduler.arm()

    # Clients

    def check_admission(self) -> None:
        """Refuse new connections while the gateway finishes its work.

        Raises:
            GatewayDraining: see there.
        """
        if self.draining:
            raise GatewayDraining

    def not_ready_reason(self) -> str | None:
        """Return why no new client should come, in the words of `/readyz`; None when it may."""
        if self.draining:
            return "gateway-draining"
        return None if self.suspension.phase == ACCEPTING else "gateway-suspending"

    def welcome(self, client: Client, request_id: str) -> bytes:
        """Return hello-ok for a client that was let in, and count it in."""
        from tenant_gateway.server.hello import hello

        self.clients.add(client)
        return response(request_id, hello(self, client))

    # Events

    def broadcast(self, name: str, payload: Any, state_version: dict[str, int] | None = None) -> None:
        """Send an event to every client."""
        if self.clients:
            head = event_head(name, msgspec.json.encode(payload), state_version)
            for client in tuple(self.clients):
                client.send_event(head)

    def tell_message(self, key: str, entry: Entry) -> None:
        """Tell of a new message those who watch this session, or all sessions."""
        watchers = [client for client in self.clients if client.watches_sessions or key in client.watched_keys]
        if watchers:
            from tenant_gateway.methods.session_events import message_event

            self._send(watchers, "session.message", message_event(self, key, entry))

    def tell_session(self, key: str, reason: str, **more: Any) -> None:
        """Tell of a changed session those who watch the sessions (`sessions.subscribe`)."""
        watchers = [client for client in self.clients if client.watches_sessions]
        if watchers:
            from tenant_gateway.methods.session_events import changed_event

            self._send(watchers, "sessions.changed", changed_event(self, key, reason, more))

    def _send(self, clients: list[Client], name: str, payload: Any) -> None:
        head = event_head(name, msgspec.json.encode(payload))
        for client in clients:
            client.send_event(head)

    def state_version(self) -> dict[str, int]:
        """Return the counters beside health and presence."""
        return {"presence": self.presence_version, "health": self.health_version}

    # Configuration

    def reload(self) -> None:
        """Read the configuration again; one that is wrong is reported and changes nothing."""
        try:
            config = read_config(self.settings.config_path, self.settings.environ)
        except ConfigError as error:
            self.log.warning("config reload skipped (invalid config): %s", error)
            return
        if config.digest != self.config.digest:
            self.apply(config)

    def apply(self, config: Config) -> None:
        """Take a new configuration. A client that was let in by settings which changed must come in anew (4001)."""
        old, self.config = self.config, config
        self.log.info("config reloaded")
        self.broadcast("config.changed", {"hash": config.hash(self.secret)})
        self.broadcast("chat.metadata.changed", {})
        if any(old.get(path) != config.get(path) for path in ("gateway.auth", "gateway.trustedProxies")):
            for client in tuple(self.clients):
                client.close(4001, "gateway policy changed")

    # End

    async def drain(self, budget: float) -> None:
        """Let running turns finish, for at most `budget` seconds."""
        self.draining = True
        if self._lanes is not None:
            await self._lanes.drain(budget)

    async def stop(self) -> None:
        """Tell the clients (1012), wait until they have heard it, close the database."""
        self.broadcast("shutdown", {"reason": "gateway stopping"})
        for client in tuple(self.clients):
            client.close(1012, "service restart")
        if self._scheduler is not None:
            await self._scheduler.stop()
        if self._lanes is not None:
            await self._lanes.stop()
        for connection in tuple(self.connections):
            connection.close()
        deadline = time.monotonic() + 1.0
        while self.clients and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        if self._processes is not None:
            await self._processes.stop()
        self.database.close()
