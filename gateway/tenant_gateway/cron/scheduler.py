"""The clock behind the jobs: one timer, set to the job that is due next."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, Final

from tenant_gateway.agent.accept import accept
from tenant_gateway.agent.runs import Run
from tenant_gateway.cron.schedule import next_run
from tenant_gateway.methods.registry import RequestError
from tenant_gateway.storage.sessions import DEFAULT_AGENT, MAIN_KEY, canonical_key, now_ms
from tenant_gateway.suspension import ACCEPTING

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway

_LONGEST_SLEEP: Final = 3600.0
"""Seconds; a clock that was set is noticed after this at the latest."""

_CLOSED_RETRY: Final = 5.0


class Scheduler:
    """Runs the jobs that are due. A job that was missed while the gateway was asleep runs once, when it is awake again."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._timer: asyncio.TimerHandle | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        for job in gateway.cron.all():
            if job["state"].pop("runningAtMs", None):
                gateway.cron.save(job)  # the gateway before this one ended while it ran

    @property
    def enabled(self) -> bool:
        """`cron.enabled` of the configuration."""
        return self._gateway.config.flag("cron.enabled", True)

    def is_running(self, job_id: str) -> bool:
        """Whether a run of this job is under way."""
        return job_id in self._running

    def arm(self) -> None:
        """Set the timer to the next job."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._gateway.cron.next_due() if self.enabled else None
        if due is not None:
            delay = min(_LONGEST_SLEEP, max(0.0, (due - now_ms()) / 1000))
            self._timer = asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        gateway = self._gateway
        if gateway.draining or gateway.suspension.phase != ACCEPTING:
            self._timer = asyncio.get_running_loop().call_later(_CLOSED_RETRY, self._fire)
            return
        for job in gateway.cron.due(now_ms()):
            if job["id"] not in self._running:
                self.start(job)
        self.arm()

    def start(self, job: dict[str, Any]) -> str:
        """Run a job now; returns the id of its run.

        Raises:
            RequestError: its session takes no more messages.
        """
        started = now_ms()
        job["state"]["runningAtMs"] = started
        job["state"]["nextRunAtMs"] = self.next_time(job, started)
        self._gateway.cron.save(job)
        self._tell(job, "started")
        try:
            run = self._begin(job)
        except RequestError as error:
            self._finish(job["id"], started, {"status": "error", "error": str(error)}, None)
            raise
        task = asyncio.get_running_loop().create_task(self._follow(job["id"], started, run))
        self._running[job["id"]] = task
        task.add_done_callback(lambda _: self._running.pop(job["id"], None))
        return run.id

    def _begin(self, job: dict[str, Any]) -> Run:
        payload = job["payload"]
        text = payload.get("message") or payload.get("text") or ""
        options = {name: payload[name] for name in ("model", "thinking") if payload.get(name)}
        if seconds := payload.get("timeoutSeconds"):
            options["timeoutMs"] = int(seconds * 1000)
        run_id = str(uuid.uuid4())
        sender = {"id": "cron", "mode": "backend", "displayName": job["name"]}
        options["queueMode"] = "followup"
        options["plain"] = True
        message = f"[cron:{job['id']} {job['name']}] {text}"
        return accept(self._gateway, session_key(job), run_id, message, method="cron", options=options, sender=sender)

    async def _follow(self, job_id: str, started: int, run: Run) -> None:
        self._finish(job_id, started, await asyncio.shield(run.outcome), run)

    def _finish(self, job_id: str, started: int, outcome: dict[str, Any], run: Run | None) -> None:
        gateway = self._gateway
        job = gateway.cron.get(job_id)
        if job is None:
            return  # removed while it ran
        ended = now_ms()
        ok = outcome.get("status") == "ok"
        state = job["state"]
        state.pop("runningAtMs", None)
        state.update(
            lastRunAtMs=started,
            lastDurationMs=ended - started,
            lastStatus="ok" if ok else "error",
            lastRunStatus="ok" if ok else "error",
            consecutiveErrors=0 if ok else state.get("consecutiveErrors", 0) + 1,
        )
        state.pop("lastError", None)
        entry: dict[str, Any] = {
            "ts": ended,
            "jobId": job_id,
            "action": "finished",
            "status": "ok" if ok else "error",
            "runAtMs": started,
            "durationMs": ended - started,
        }
        if run is not None:
            entry.update(runId=run.id, sessionId=run.session_id, sessionKey=run.session_key)
        if ok:
            entry["summary"] = outcome["terminalReply"]["text"][:2000]
        else:
            entry["error"] = state["lastError"] = str(outcome.get("error") or outcome.get("summary") or "failed")
        gateway.cron.add_run(entry)
        if ok and job["schedule"]["kind"] == "at" and job.get("deleteAfterRun", True):
            gateway.cron.delete(job_id)
            self._tell(job, "removed")
        else:
            if job["schedule"]["kind"] == "at":
                job["enabled"] = False
            gateway.cron.save(job)
        more = {name: value for name, value in entry.items() if name not in ("ts", "jobId", "action")}
        self._tell(job, "finished", **more)
        self.arm()

    def next_time(self, job: dict[str, Any], after: int) -> int | None:
        """Return when a job runs after a time; None for one that is disabled or over."""
        zone = self._gateway.config.text("agents.defaults.userTimezone")
        return next_run(job["schedule"], after, zone) if job["enabled"] else None

    def told(self, job: dict[str, Any], action: str) -> None:
        """Tell clients of an edit, and look at the clock again."""
        self._tell(job, action)
        self.arm()

    def _tell(self, job: dict[str, Any], action: str, **more: Any) -> None:
        payload: dict[str, Any] = {"jobId": job["id"], "action": action, "job": job, **more}
        if job["state"].get("nextRunAtMs"):
            payload["nextRunAtMs"] = job["state"]["nextRunAtMs"]
        self._gateway.broadcast("cron", payload)

    async def stop(self) -> None:
        """Stop the clock and those who wait for runs; the runs themselves end elsewhere."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)


def session_key(job: dict[str, Any]) -> str:
    """Return the session that a job runs in: the main one, a named one, or one of its own."""
    target = job["sessionTarget"]
    if target == "main":
        return MAIN_KEY
    if target.startswith("session:"):
        return canonical_key(target.removeprefix("session:"))
    if target == "current" and job.get("sessionKey"):
        return canonical_key(job["sessionKey"])
    return f"agent:{DEFAULT_AGENT}:cron:{job['id']}"
