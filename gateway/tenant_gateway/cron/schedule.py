"""When a job runs next: `at`, `every` and `cron` schedules, in upstream's form. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Any, Final

_MINUTE: Final = 60_000

_NAMES: Final[tuple[dict[str, int], ...]] = (
    {},
    {},
    {},
    {
        name: at
        for at, name in enumerate(
            ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
        )
    },
    {name: at for at, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])},
)
_RANGES: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_SHORT: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_HORIZON_DAYS: Final = 366 * 8 + 2
"""A leap day comes every four years, eight around a century: what does not match by then never does."""


class InvalidSchedule(ValueError):
    """A schedule that cannot be understood; the text says what is wrong with it."""


def next_run(schedule: dict[str, Any], after_ms: int, default_zone: str = "") -> int | None:
    """Return the first time (ms since 1970) later than `after_ms`; None when there is none.

    Raises:
        InvalidSchedule: see the class.
    """
    kind = schedule.get("kind")
    if kind == "at":
        at = parse_time(schedule.get("at"))
        return at if at > after_ms else None
    if kind == "every":
        every = schedule.get("everyMs")
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise InvalidSchedule("everyMs must be a whole number of milliseconds")
        anchor = schedule.get("anchorMs", 0)
        return int(anchor + ((after_ms - anchor) // every + 1) * every) if after_ms >= anchor else int(anchor)
    if kind == "cron":
        return _next_cron(str(schedule.get("expr", "")), str(schedule.get("tz") or default_zone), after_ms)
    raise InvalidSchedule(f"schedules of kind {kind!r} are not supported")


def parse_time(value: Any) -> int:
    """Return ms since 1970 of an ISO 8601 time (UTC when it has no zone) or of a number.

    Raises:
        InvalidSchedule: neither.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = value.strip()
        if text.isdigit():
            return int(text)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise InvalidSchedule(f"not a time: {value!r}") from None
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    raise InvalidSchedule("a time must be text")


@cache
def parse_cron(expression: str) -> tuple[frozenset[int], ...]:
    """Return the minutes, hours, days, months and weekdays (0 is Sunday) of a cron expression.

    Raises:
        InvalidSchedule: not five fields, or a field out of its range.
    """
    fields = _SHORT.get(expression.strip().lower(), expression).split()
    if len(fields) == 6 and fields[0] == "0":
        del fields[0]  # upstream's croner takes seconds; a job that runs on the minute is the same without
    if len(fields) != 5:
        raise InvalidSchedule(f"a cron expression has five fields: {expression!r}")
    parsed = [_field(field, *_RANGES[at], _NAMES[at]) for at, field in enumerate(fields)]
    parsed[4] = frozenset(day % 7 for day in parsed[4])
    return tuple(parsed)


def _field(field: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    values: set[int] = set()
    for part in field.lower().split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, {}, field) if slash else 1
        if span in ("*", "?"):
            first, last = low, high
        else:
            start, dash, end = span.partition("-")
            first = _number(start, names, field)
            last = _number(end, names, field) if dash else (high if slash else first)
        if not low <= first <= last <= high or step < 1:
            raise InvalidSchedule(f"{field!r} is not within {low}-{high}")
        values.update(range(first, last + 1, step))
    return frozenset(values)


def _number(text: str, names: dict[str, int], field: str) -> int:
    if text in names:
        return names[text]
    if not text.isdigit():
        raise InvalidSchedule(f"not understood: {field!r}")
    return int(text)


def _next_cron(expression: str, zone: str, after_ms: int) -> int | None:
    minutes, hours, days, months, weekdays = parse_cron(expression)
    fields = _SHORT.get(expression.strip().lower(), expression).split()
    any_day, any_weekday = fields[-3][0] in "*?", fields[-1][0] in "*?"
    tz = _zone(zone)
    start = datetime.fromtimestamp(after_ms / 1000, tz)
    day = start.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    for _ in range(_HORIZON_DAYS):
        in_days, in_weekdays = day.day in days, day.isoweekday() % 7 in weekdays
        # As cron has it: when both are restricted, either will do.
        matches = (in_days or in_weekdays) if not (any_day or any_weekday) else (in_days and in_weekdays)
        if day.month in months and matches:
            for hour in sorted(hours):
                for minute in sorted(minutes):
                    at = int(day.replace(hour=hour, minute=minute, tzinfo=tz).timestamp() * 1000)
                    if at > after_ms:
                        return at // _MINUTE * _MINUTE
        day += timedelta(days=1)
    return None


def _zone(name: str) -> tzinfo:
    if not name:
        return datetime.now().astimezone().tzinfo or UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidSchedule(f"unknown time zone {name!r}") from None
