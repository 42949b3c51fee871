"""Runs by session: one at a time in each, several sessions at once."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from tenant_gateway.agent.accept import begin
from tenant_gateway.agent.ending import finish_aborted, finish_steered
from tenant_gateway.agent.runs import Run
from tenant_gateway.agent.turn import run_turn
from tenant_gateway.methods.registry import RequestError

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway

_QUEUE_CAP: Final = 20
"""Messages that may wait in one session; upstream's `messages.queue.cap`."""

_MAX_CONCURRENT: Final = 8
"""Runs at the same time; upstream's `agents.defaults.maxConcurrent` has at least as many."""


class _Lane:
    def __init__(self) -> None:
        self.current: Run | None = None
        self.waiting: deque[Run] = deque()


class Lanes:
    """Starts runs when their session is free, and knows those that have not ended."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._lanes: dict[str, _Lane] = {}
        self._runs: dict[str, Run] = {}
        self._slots = asyncio.Semaphore(gateway.config.number("agents.defaults.maxConcurrent", _MAX_CONCURRENT))

    def count(self) -> int:
        """Return how many runs are queued or under way."""
        return len(self._runs)

    def get(self, run_id: str) -> Run | None:
        """Return a run that has not ended."""
        return self._runs.get(run_id)

    def active(self, session_key: str) -> Run | None:
        """Return the run under way in a session."""
        lane = self._lanes.get(session_key)
        return None if lane is None else lane.current

    def waiting(self, session_key: str) -> list[Run]:
        """Return the runs that wait in a session."""
        lane = self._lanes.get(session_key)
        return [] if lane is None else list(lane.waiting)

    def check_room(self, session_key: str) -> None:
        """Check that the session can take one more, before it is written down as accepted.

        Raises:
            RequestError: UNAVAILABLE, too many messages wait already.
        """
        lane = self._lanes.get(session_key)
        if lane is not None and len(lane.waiting) >= _QUEUE_CAP:
            raise RequestError("session queue is full", "UNAVAILABLE", retryable=True, retry_after_ms=2000)

    def submit(self, run: Run) -> None:
        """Start a run, or queue it behind the one under way."""
        lane = self._lanes.setdefault(run.session_key, _Lane())
        self._runs[run.id] = run
        if lane.current is None:
            self._start(lane, run)
            return
        lane.waiting.append(run)
        if run.options.get("queueMode") == "interrupt":
            lane.current.abort("interrupt")

    def steering(self, run: Run) -> bool:
        """Whether a message waits that wants to steer this run."""
        lane = self._lanes.get(run.session_key)
        return lane is not None and lane.current is run and bool(lane.waiting) and steers(lane.waiting[0])

    def steer(self, run: Run) -> None:
        """Let the messages that wait join the run, in order, up to the first that wants a run of its own."""
        lane = self._lanes[run.session_key]
        while self.steering(run):
            message = lane.waiting.popleft()
            begin(message)
            finish_steered(message, run)
            self._runs.pop(message.id, None)

    def abort(self, run: Run, reason: str) -> None:
        """Stop a run; one that only waits ends at once."""
        lane = self._lanes.get(run.session_key)
        if lane is not None and run in lane.waiting:
            lane.waiting.remove(run)
            run.abort_reason = reason
            finish_aborted(run)
            self._runs.pop(run.id, None)
        else:
            run.abort(reason)

    def _start(self, lane: _Lane, run: Run) -> None:
        lane.current = run
        if not run.recorded:
            begin(run)
        run.task = asyncio.get_running_loop().create_task(self._drive(lane, run))

    async def _drive(self, lane: _Lane, run: Run) -> None:
        try:
            async with self._slots:
                await run_turn(run)
        except asyncio.CancelledError:
            if run.abort_reason is None:
                run.abort_reason = "restart"
        except Exception:
            self._gateway.log.exception("run %s failed", run.id)
        finally:
            if not run.outcome.done():
                if run.abort_reason is None:
                    run.abort_reason = "error"
                finish_aborted(run)
            self._runs.pop(run.id, None)
            self._next(lane, run)

    def _next(self, lane: _Lane, run: Run) -> None:
        lane.current = None
        if lane.waiting:
            self._start(lane, lane.waiting.popleft())
        else:
            self._lanes.pop(run.session_key, None)
        if not self._runs:
            asyncio.get_running_loop().call_later(1.0, _give_back)

    async def drain(self, budget: float) -> None:
        """Wait until no run is left, for at most `budget` seconds; then stop those that are."""
        deadline = time.monotonic() + budget
        while self._runs:
            futures = [run.outcome for run in self._runs.values()]
            left = deadline - time.monotonic()
            if left <= 0:
                break
            await asyncio.wait(futures, timeout=left, return_when=asyncio.ALL_COMPLETED)
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Stop all runs and wait for their end."""
        tasks: list[asyncio.Task[Any]] = []
        for lane in self._lanes.values():
            lane.waiting.clear()  # on disk they wait for the next start
        for run in tuple(self._runs.values()):
            if run.task is not None:
                tasks.append(run.task)
                run.abort("restart")
        if tasks:
            await asyncio.wait(tasks, timeout=5.0)


def steers(run: Run) -> bool:
    """Whether a message may join the run under way: unless it, or its session, asks for a turn of its own."""
    options = run.options
    if any(options.get(name) for name in ("model", "extraSystemPrompt", "timeoutMs")):
        return False
    session = run.gateway.sessions.get(run.session_key)
    configured = run.gateway.config.text("messages.queue.mode", "steer")
    stored = None if session is None else session.settings.get("queueMode")
    return (options.get("queueMode") or stored or configured) == "steer"


def _give_back() -> None:
    """Give the memory of a turn back to the machine, once it is quiet: the gateway sleeps or idles most of its life."""
    from tenant_gateway.memory import trim

    gc.collect()
    trim()
