"""Faults by script: rules that make chosen calls fail in a chosen way."""

from __future__ import annotations

import fnmatch
import threading
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

from .calls import Call

KINDS = (
    "throttle",  # refused as AWS throttles this service
    "error",  # refused with `code`, `status`, `message`
    "5xx",  # a server fault with `status` (500 when left out); the call has no effect
    "latency",  # answered after `seconds`
    "timeout",  # no effect, and no answer for `seconds` (until the caller gives up when left out)
    "lost_response",  # the call takes effect, then the connection is cut
    "truncated",  # the call takes effect, and the answer ends half way
    "stale",  # a read is answered as before the service's last write, where it was asked then; writes are not affected
    "access_denied",  # refused as IAM refuses
    "quota",  # refused as a reached quota
)


@dataclass
class Rule:
    """One fault. Globs are case-sensitive; a `resource` glob must match one of the names in the call."""

    kind: str
    service: str = "*"
    operation: str = "*"
    resource: str | None = None
    count: int | None = None
    after: int = 0
    code: str | None = None
    status: int | None = None
    message: str | None = None
    seconds: float | None = None
    id: str = ""
    seen: int = 0
    applied: int = 0

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "Rule":
        """Raises ValueError for a rule that could never do what its author meant."""
        settable = set(cls.__dataclass_fields__) - {"id", "seen", "applied"}
        unknown = set(given) - settable
        if unknown:
            raise ValueError(f"unknown field {', '.join(sorted(unknown))}; there are {', '.join(sorted(settable))}")
        if given.get("kind") not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        if given["kind"] == "error" and not given.get("code"):
            raise ValueError("a rule of kind error needs a code")
        if given["kind"] == "latency" and not given.get("seconds"):
            raise ValueError("a rule of kind latency needs seconds")
        for name in ("count", "after", "status"):
            if given.get(name) is not None and (not isinstance(given[name], int) or given[name] < 0):
                raise ValueError(f"{name} must be a whole number")
        return cls(**given)

    def matches(self, call: Call) -> bool:
        if not fnmatch.fnmatchcase(call.service, self.service):
            return False
        if not fnmatch.fnmatchcase(call.operation or "", self.operation):
            return False
        if self.resource is None:
            return True
        return any(fnmatch.fnmatchcase(name, self.resource) for name in call.resources)


@dataclass
class Faults:
    """The rules in force, in the order they were added. The first one with an application left decides."""

    _rules: list[Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ids: count = field(default_factory=lambda: count(1))

    def add(self, rule: Rule) -> str:
        with self._lock:
            rule.id = f"fault-{next(self._ids)}"
            self._rules.append(rule)
            return rule.id

    def remove(self, identifier: str | None = None) -> int:
        """Remove one rule, or all of them; returns how many."""
        with self._lock:
            kept = [] if identifier is None else [rule for rule in self._rules if rule.id != identifier]
            removed = len(self._rules) - len(kept)
            self._rules[:] = kept
            return removed

    def list(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def take(self, call: Call) -> Rule | None:
        """The rule to apply to this call, counted as applied. Every matching rule counts the call as seen."""
        chosen: Rule | None = None
        with self._lock:
            for rule in self._rules:
                if not rule.matches(call):
                    continue
                rule.seen += 1
                spent = rule.count is not None and rule.applied >= rule.count
                if chosen is None and rule.seen > rule.after and not spent:
                    rule.applied += 1
                    chosen = rule
        return chosen
