"""`python -m tenant_router`: the router process of a cluster. `kubernetes/settings.py` lists its environment."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from tenant_api.variables import SettingsError

from .kubernetes.errors import ConfigurationError
from .kubernetes.serve import serve
from .kubernetes.settings import read_settings
from .loop import RelayLoop


def main() -> int:
    """Run the router until it is told to end; return the exit status."""
    try:
        settings = read_settings(os.environ)
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        with asyncio.Runner(loop_factory=RelayLoop) as runner:
            runner.run(serve(settings))
    except (SettingsError, ConfigurationError, OSError) as error:
        print(f"tenant_router: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
