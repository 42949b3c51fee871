"""`python -m tenant_operator`: the operator, with its settings from the environment (see `settings`)."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from tenant_api.variables import SettingsError

from .apiserver.errors import LoginFailed
from .leader import LeadershipLost
from .service import Operator
from .settings import OperatorSettings, read_settings

log = logging.getLogger("tenant_operator")


def main() -> int:
    """Run; return the exit code: 2 for settings that can't be used, 1 when another operator took the lead."""
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print(f"tenant_operator: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    # kopf tells of every event that it hands on; whether anything follows from it we tell ourselves.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLogger().level))
    try:
        asyncio.run(_run(settings))
    except (LoginFailed, SettingsError) as error:
        print(f"tenant_operator: {error}", file=sys.stderr)
        return 2
    except LeadershipLost as error:
        log.error("ending: %s", error)
        return 1
    return 0


async def _run(settings: OperatorSettings) -> None:
    await Operator(settings).run()


if __name__ == "__main__":
    sys.exit(main())
