"""What `why` remembers: changes, not repetitions."""

from __future__ import annotations

from tenant_router.kubernetes import stories as stories_module
from tenant_router.kubernetes.stories import MAX_CHAPTERS, Stories, Story, WakePhases
from tenant_router.kubernetes.trouble import Cause, Trouble

QUOTA = Trouble(Cause.QUOTA, "exceeded quota")


def told(story: Story) -> list[tuple[str, str]]:
    return [(state, reason) for _, state, reason in story.chapters]


def test_a_wake_is_told_step_by_step() -> None:
    story = Story()
    story.waking(WakePhases(reason="cli connected"))
    story.turn("awake", "it answers")
    story.turn("awake", "it answers again")
    assert told(story) == [("waking", "cli connected"), ("awake", "it answers")]


def test_a_failure_that_repeats_each_second_is_told_once_and_another_one_too() -> None:
    story = Story()
    for _ in range(5):
        story.waking(WakePhases(reason="cli connected"))
        story.failed(QUOTA)
    story.waking(WakePhases(reason="cli connected"))
    story.failed(Trouble(Cause.NO_NODE, "no node"))
    assert told(story) == [("waking", "cli connected"), ("failed", "exceeded quota"), ("failed", "no node")]
    assert story.last_failure is not None
    assert story.last_failure[1].cause is Cause.NO_NODE


def test_chapters_and_stories_are_bounded() -> None:
    story = Story()
    for number in range(3 * MAX_CHAPTERS):
        story.turn(f"state-{number}", "")
    assert len(story.chapters) == MAX_CHAPTERS
    stories = Stories()
    for number in range(stories_module.MAX_STORIES + 10):
        stories.of(str(number))
    assert stories.look("0") is None
    assert stories.look(str(stories_module.MAX_STORIES)) is not None
