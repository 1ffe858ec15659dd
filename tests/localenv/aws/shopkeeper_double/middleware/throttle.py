"""Token buckets, as AWS limits the calls of an account to an API in a region. None until configured."""

from __future__ import annotations

import fnmatch
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from .calls import Call

#: What AWS publishes for the services that Shopkeeper calls, in the quotas of RDS, DynamoDB and Route 53 and in "Request
#: throttling for the Amazon EC2 API", and in the reference of LookupEvents. EKS, ElastiCache, IAM, S3, SNS and SQS publish no figure for their control plane.
PUBLISHED: dict[str, dict[str, Any]] = {
    "rds": {"burst": 300, "rate": 12},
    "dynamodb": {"burst": 2500, "rate": 2500},
    "cloudtrail:LookupEvents": {"burst": 2, "rate": 2},
    "route53": {"burst": 50, "rate": 10},
    "ec2:Describe*": {"burst": 100, "rate": 20, "each": True},
    "ec2:*": {"burst": 50, "rate": 5, "each": True},
}
PRESETS = {"published": PUBLISHED}


@dataclass(frozen=True)
class Limit:
    """A bucket holds up to `burst` tokens and gains `rate` a second; with `each` every operation has one of its own."""

    burst: float
    rate: float
    each: bool = False


@dataclass
class Bucket:
    limit: Limit
    tokens: float = field(init=False)
    filled_at: float = field(init=False)
    refused: int = 0
    admitted: int = 0

    def __post_init__(self) -> None:
        self.tokens = self.limit.burst
        self.filled_at = time.monotonic()

    def has_token(self) -> bool:
        now = time.monotonic()
        self.tokens = min(self.limit.burst, self.tokens + (now - self.filled_at) * self.limit.rate)
        self.filled_at = now
        return self.tokens >= 1


class Throttle:
    """Buckets for each account and region, by `service` or `service:OperationGlob`.

    A call takes a token from the bucket of its service and from that of the longest glob that covers its operation, and is
    refused where one of them has none.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limits: dict[str, Limit] = {}
        self._buckets: dict[tuple[str, ...], Bucket] = {}
        #: The keys that cover an operation, worked out once.
        self._keys: dict[tuple[str, str | None], list[str]] = {}

    def change(self, limits: dict[str, dict[str, Any] | None]) -> None:
        """Add or replace limits ({"burst": 10, "rate": 2}); a limit of None is removed."""
        parsed = {key: None if limit is None else _limit(limit) for key, limit in limits.items()}
        with self._lock:
            self._keys.clear()
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
            self._keys.clear()

    def describe(self) -> dict[str, Any]:
        with self._lock:
            return {
                key: {
                    "burst": limit.burst,
                    "rate": limit.rate,
                    "each": limit.each,
                    "refused": sum(bucket.refused for held, bucket in self._buckets.items() if held[0] == key),
                    "admitted": sum(bucket.admitted for held, bucket in self._buckets.items() if held[0] == key),
                }
                for key, limit in self._limits.items()
            }

    def admits(self, call: Call) -> bool:
        if not self._limits:
            return True
        with self._lock:
            charged = [self._bucket(key, call) for key in self._charged(call)]
            empty = [bucket for bucket in charged if not bucket.has_token()]
            for bucket in empty:
                bucket.refused += 1
            if not empty:
                for bucket in charged:
                    bucket.tokens -= 1
                    bucket.admitted += 1
            return not empty

    def _charged(self, call: Call) -> list[str]:
        asked = (call.service, call.operation)
        if asked not in self._keys:
            globs = [
                key
                for key in self._limits
                if key.startswith(f"{call.service}:") and fnmatch.fnmatchcase(call.operation or "", key.partition(":")[2])
            ]
            longest = [max(globs, key=len)] if globs else []
            self._keys[asked] = [key for key in (call.service, *longest) if key in self._limits]
        return self._keys[asked]

    def _bucket(self, key: str, call: Call) -> Bucket:
        limit = self._limits[key]
        name = (key, call.account, call.region, call.operation or "" if limit.each else "")
        if name not in self._buckets:
            self._buckets[name] = Bucket(limit)
        return self._buckets[name]


def _limit(given: dict[str, Any]) -> Limit:
    limit = Limit(float(given["burst"]), float(given["rate"]), bool(given.get("each", False)))
    if limit.burst < 1 or limit.rate < 0:
        raise ValueError("a limit has a burst of at least 1 and a rate of at least 0")
    return limit
