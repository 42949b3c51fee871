"""What reconciling works with: one of each, made at start and handed to all parts."""

from __future__ import annotations

from dataclasses import dataclass, field

from .answers import Answers
from .apiserver.client import ApiClient
from .cache.cache import Cache
from .events import Events
from .keys import Key
from .life import Lives
from .metrics import Metrics
from .queue import WorkQueue
from .reconcile.acceptance import Templates
from .settings import OperatorSettings


@dataclass(slots=True)
class World:
    """The parts that reconcilers share."""

    settings: OperatorSettings
    api: ApiClient
    cache: Cache
    queue: WorkQueue[Key]
    events: Events
    metrics: Metrics
    lives: Lives = field(default_factory=Lives)
    templates: Templates = field(default_factory=Templates)
    answers: Answers = field(init=False)

    def __post_init__(self) -> None:
        self.answers = Answers(self.cache)
