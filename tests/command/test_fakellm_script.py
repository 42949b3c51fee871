"""What the scripted model makes of a conversation, upstream's additions included."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openclaw_tenancy.demo.fakellm_script import Turn, read_turn, reply_to

# As OpenClaw 2026.9.6 sent them to a model (captured, shortened).
FIRST = "[Tue 2026-11-24 08:44 UTC] hello there\n\nRuntime: agent=main | session=agent:main:main | host=vm"
CONTEXT = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nActive exec sessions:\nnone\n<<<END_OPENCLAW_INTERNAL_CONTEXT>>>"


SENDER = 'Conversation info: ⟦openclaw:ctx⟧\n```json\n{"sender":{"id":"cb2c","name":"anna"}}\n```\n\nhello there'


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def blocks(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def test_finds_the_users_words_before_upstreams_context() -> None:
    assert read_turn([{"role": "system", "content": "x"}, user(FIRST), blocks(CONTEXT)]) == Turn("hello there")


def test_finds_the_users_words_behind_the_senders_name() -> None:
    assert read_turn([user(SENDER), blocks(CONTEXT)]) == Turn("hello there")
    assert read_turn([user("[Tue 2026-11-24 08:44 UTC] " + SENDER), blocks(CONTEXT)]) == Turn("hello there")


def test_older_turns_do_not_count() -> None:
    messages = [user("TOOL:ls {}"), {"role": "assistant", "content": "ls said: x"}, user("and now?"), blocks(CONTEXT)]
    assert read_turn(messages) == Turn("and now?")


def test_tool_results_of_this_turn_in_both_apis() -> None:
    openai = [user("TOOL:ls {}"), {"role": "assistant"}, {"role": "tool", "content": "a.txt"}, blocks(CONTEXT)]
    assert reply_to(read_turn(openai)).tokens == ("ls ", "said: ", "a.txt")
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "b.txt"}]}
    anthropic = [user("TOOL:ls {}"), {"role": "assistant"}, {"role": "user", "content": [result]}]
    assert reply_to(read_turn(anthropic)).tokens == ("ls ", "said: ", "b.txt")


def test_arguments_end_with_their_json() -> None:
    call = reply_to(Turn('please TOOL:write {"path": "a", "content": "}"} and SLOW:50')).tool
    assert call is not None
    assert (call.name, call.arguments) == ("write", '{"path": "a", "content": "}"}')


@given(st.text(max_size=200))
def test_any_text_gets_a_reply_that_is_echoed_whole(text: str) -> None:
    reply = reply_to(Turn(text))
    if reply.tool is None and "WORDS:" not in text:
        assert "".join(reply.tokens) == f"You said: {text}"


def test_tools_are_called_one_after_the_other_and_a_failure_may_come_between() -> None:
    text = 'FAIL:500*1@1 TOOL:ls {} TOOL:read {"path": "a"}'
    replies = [reply_to(Turn(text, results)) for results in ((), ("one",), ("one", "two"))]
    assert [reply.tool and reply.tool.name for reply in replies] == ["ls", "read", None]
    assert [reply.status for reply in replies] == [200, 500, 200]
    assert "".join(replies[-1].tokens) == "read said: two"
