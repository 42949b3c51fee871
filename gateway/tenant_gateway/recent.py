"""A dictionary with a bound."""

from typing import TypeVar

T = TypeVar("T")


class Recent(dict[str, T]):
    """Keeps the last entries that were set and forgets those before."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def __setitem__(self, key: str, value: T) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        if len(self) > self._limit:
            del self[next(iter(self))]
