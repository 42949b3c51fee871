"""`gateway.suspend.*`: asked before a gateway is put to sleep."""

from __future__ import annotations

import pytest
from native_world import NativeGateway, Operator, Refused

from openclaw_tenancy.demo.fakellm import FakeLLM


async def test_busy_while_a_run_is_under_way(operator: Operator, llm: FakeLLM) -> None:
    run_id = await operator.chat("HOLD the gateway busy")
    busy = await operator.call("gateway.suspend.prepare", {"requestId": "r1"})
    assert (busy["status"], busy["reason"], busy["activeCount"]) == ("busy", "active-work", 1)
    assert busy["blockers"] == [{"kind": "chat-run", "count": 1, "message": "1 active chat run(s)"}]
    llm.release()
    await operator.ended(run_id)
    await operator.call("agent.wait", {"runId": run_id})
    assert (await operator.call("gateway.suspend.prepare", {"requestId": "r1"}))["status"] == "ready"


async def test_prepared_is_closed_to_everything_but_resume(gateway: NativeGateway, operator: Operator) -> None:
    ready = await operator.call("gateway.suspend.prepare", {"requestId": "r1"})
    suspension = {"suspensionId": ready["suspensionId"]}
    assert ready["blockers"] == []
    assert operator.events[-1]["payload"] == {"phase": "prepared"}
    assert (await operator.call("gateway.suspend.status", suspension))["status"] == "ready"
    for method in ("health", "chat.send"):
        with pytest.raises(Refused) as closed:
            await operator.call(method, {})
        assert closed.value.error["details"]["reason"] == "gateway-suspending"
        assert closed.value.error["retryable"] is True
    assert (await gateway.http("GET", "/readyz"))[0] == 503
    assert (await gateway.http("GET", "/healthz"))[0] == 200
    other = await gateway.operator()
    assert other.hello["snapshot"]["suspension"] == {"phase": "prepared"}
    await other.close()
    assert (await operator.call("gateway.suspend.prepare", {"requestId": "other"}))["status"] == "busy"
    resumed = await operator.call("gateway.suspend.resume", suspension)
    assert resumed == {"ok": True, "status": "running", "resumed": True}
    assert (await operator.call("gateway.suspend.resume", suspension))["resumed"] is False
    assert (await operator.call("health"))["ok"] is True
    assert (await operator.call("gateway.suspend.status", suspension)) == {"status": "running"}


async def test_drain_refuses_new_work_and_gets_ready(operator: Operator, llm: FakeLLM) -> None:
    run_id = await operator.chat("HOLD the gateway busy")
    draining = await operator.call("gateway.suspend.prepare", {"requestId": "r1", "drain": True})
    assert draining["status"] == "draining"
    assert (await operator.call("health"))["ok"] is True
    with pytest.raises(Refused):
        await operator.chat("more")
    llm.release()
    await operator.ended(run_id)
    await operator.call("agent.wait", {"runId": run_id})
    status = await operator.call("gateway.suspend.status", {"suspensionId": draining["suspensionId"]})
    assert status["status"] == "ready"
