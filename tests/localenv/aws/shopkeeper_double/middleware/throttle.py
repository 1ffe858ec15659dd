"""Token buckets, as AWS limits the calls of an account to an API. None until configured."""

from __future__ import annotations

import fnmatch
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from .calls import Call


@dataclass
class Bucket:
    """Holds up to `burst` tokens and gains `rate` tokens a second; a call takes one."""

    burst: float
    rate: float
    tokens: float = field(init=False)
    filled_at: float = field(init=False)
    refused: int = 0

    def __post_init__(self) -> None:
        self.tokens = self.burst
        self.filled_at = time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1:
            self.refused += 1
            return False
        self.tokens -= 1
        return True


class Throttle:
    """Buckets by `service` or `service:OperationGlob`, one for each region; the longest key that matches is charged."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limits: dict[str, tuple[float, float]] = {}
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def change(self, limits: dict[str, dict[str, float] | None]) -> None:
        """Add or replace limits ({"burst": 10, "rate": 2}); a limit of None is removed."""
        parsed = {
            key: None if limit is None else (float(limit["burst"]), float(limit["rate"])) for key, limit in limits.items()
        }
        with self._lock:
            for key, limit in parsed.items():
                for held in [each for each in self._buckets if each[0] == key]:
                    del self._buckets[held]
                if limit is None:
                    self._limits.pop(key, None)
                else:
                    self._limits[key] = limit

    def clear(self) -> None:
        with self._lock:
            self._limits.clear()
            self._buckets.clear()

    def describe(self) -> dict[str, Any]:
        with self._lock:
            return {
                key: {
                    "burst": burst,
                    "rate": rate,
                    "refused": sum(bucket.refused for held, bucket in self._buckets.items() if held[0] == key),
                }
                for key, (burst, rate) in self._limits.items()
            }

    def admits(self, call: Call) -> bool:
        with self._lock:
            matching = [key for key in self._limits if self._covers(key, call)]
            if not matching:
                return True
            key = max(matching, key=len)
            burst, rate = self._limits[key]
            return self._buckets.setdefault((key, call.region), Bucket(burst, rate)).take()

    @staticmethod
    def _covers(key: str, call: Call) -> bool:
        service, _, operation = key.partition(":")
        return service == call.service and fnmatch.fnmatchcase(call.operation or "", operation or "*")
