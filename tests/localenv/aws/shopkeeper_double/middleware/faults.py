"""Faults by script: rules that make chosen calls fail in a chosen way."""

from __future__ import annotations

import fnmatch
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from itertools import count
from typing import Any

from .calls import Call
from .holds import Gate

KINDS = (
    "throttle",  # refused as AWS throttles this service
    "error",  # refused with `code`, `status`, `message`
    "5xx",  # a server fault with `status` (500 when left out); the call has no effect
    "latency",  # takes effect at once, and is answered after `seconds`
    "timeout",  # no effect, and no answer for `seconds` (until the caller gives up when left out)
    "reset",  # no effect, and the connection is reset
    "lost_response",  # the call takes effect, then the connection is reset
    "truncated",  # the call takes effect, and the connection is closed half way through the answer
    "truncated_body",  # the call takes effect, and the answer is half of its document in valid HTTP
    "put_back",  # the call is answered as ever, and what it did is put back at once
    "stale",  # reads are answered as before a write: see stale.py
    "access_denied",  # refused as IAM refuses
    "expired_credentials",  # refused as a session whose credentials have expired
    "quota",  # refused as a reached quota
    "hold",  # the call waits before or after its `effect` until it is released: see holds.py
    "notify",  # nothing happens to the call; whoever waits for the rule hears of its effect
)
#: Kinds that count calls by their effect, one after the other.
GATED = ("hold", "notify")
#: Fields that the double counts itself.
COUNTED = ("id", "seen", "applied", "last_call")


@dataclass
class Rule:
    """One fault. Globs are case-sensitive; a `resource` glob must match one of the names in the call."""

    kind: str
    service: str = "*"
    operation: str = "*"
    resource: str | None = None
    #: A part of the request as it was sent: its path, query or body.
    containing: str | None = None
    #: A glob over the caller's user agent.
    caller: str | None = None
    #: A glob over the user agents of callers that it leaves alone.
    except_caller: str | None = None
    #: Only writes, or only reads.
    write: bool | None = None
    count: int | None = None
    after: int = 0
    probability: float | None = None
    seed: int = 0
    code: str | None = None
    status: int | None = None
    message: str | None = None
    seconds: float | None = None
    #: For `hold`: "after" the call took effect, or "before" it does.
    effect: str = "after"
    #: For `stale`: a glob over the writes after which reads are stale, and how many reads are, for each write.
    writes: str = "*"
    reads: int | None = None
    id: str = ""
    seen: int = 0
    applied: int = 0
    #: The number of the last call that it applied to.
    last_call: int | None = None

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.gate = Gate(after=self.after, holds=self.kind == "hold", before_effect=self.effect == "before")

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "Rule":
        """Raises ValueError for a rule that could never do what its author meant."""
        given = dict(given)
        if "times" in given:
            given.setdefault("count", given.pop("times"))
        settable = set(cls.__dataclass_fields__) - set(COUNTED)
        unknown = set(given) - settable
        if unknown:
            raise ValueError(f"unknown field {', '.join(sorted(unknown))}; there are {', '.join(sorted(settable))}")
        if given.get("kind") not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        if given["kind"] == "error" and not given.get("code"):
            raise ValueError("a rule of kind error needs a code")
        if given["kind"] == "latency" and not given.get("seconds"):
            raise ValueError("a rule of kind latency needs seconds")
        for name in ("count", "after", "status", "reads", "seed"):
            if given.get(name) is not None and (not isinstance(given[name], int) or given[name] < 0):
                raise ValueError(f"{name} must be a whole number")
        if given.get("probability") is not None and not 0 < given["probability"] <= 1:
            raise ValueError("probability must be above 0 and at most 1")
        if given.get("effect", "after") not in ("before", "after"):
            raise ValueError("effect must be before or after")
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        shown = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**shown, "held": self.gate.held, "open": self.gate.is_open}

    def matches(self, call: Call) -> bool:
        if not fnmatch.fnmatchcase(call.service, self.service):
            return False
        if not fnmatch.fnmatchcase(call.operation or "", self.operation):
            return False
        if self.write is not None and self.write != call.is_write:
            return False
        if self.caller is not None and not fnmatch.fnmatchcase(call.user_agent, self.caller):
            return False
        if self.except_caller is not None and fnmatch.fnmatchcase(call.user_agent, self.except_caller):
            return False
        if self.containing is not None and not call.contains(self.containing):
            return False
        # The resource of a stale rule is the one that was written; a read that lists names none.
        if self.resource is None or self.kind == "stale":
            return True
        return any(fnmatch.fnmatchcase(name, self.resource) for name in call.resources)

    def chosen(self) -> bool:
        """Whether chance picks this call; the same calls for the same seed."""
        return self.probability is None or self._random.random() < self.probability


@dataclass
class Faults:
    """The rules in force, in the order they were added. The first one with an application left decides."""

    _rules: list[Rule] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _ids: count = field(default_factory=lambda: count(1))
    #: Whether a gate was released by cutting off what it held, since their caller is gone.
    callers_were_cut: bool = False

    def add(self, rule: Rule) -> str:
        with self._changed:
            rule.id = f"fault-{next(self._ids)}"
            self._rules = [*self._rules, rule]
            return rule.id

    def remove(self, identifier: str | None = None) -> int:
        """Remove one rule, or all of them; returns how many. What they hold is answered."""
        with self._changed:
            removed = [rule for rule in self._rules if identifier in (None, rule.id)]
            self._rules = [rule for rule in self._rules if rule not in removed]
            self._changed.notify_all()
        for rule in removed:
            rule.gate.release(answer=True)
        return len(removed)

    def list(self) -> list[dict[str, Any]]:
        return [rule.to_json() for rule in self._rules]

    def get(self, identifier: str) -> Rule:
        for rule in self._rules:
            if rule.id == identifier:
                return rule
        raise ValueError(f"there is no rule {identifier}")

    def stale(self) -> "list[Rule]":
        return [rule for rule in self._rules if rule.kind == "stale"]

    def release(self, identifier: str, answer: bool) -> int:
        """Let go of what a rule holds; returns how many calls that is."""
        rule = self.get(identifier)
        self.callers_were_cut = self.callers_were_cut or not answer
        held = rule.gate.held
        rule.gate.release(answer)
        return held

    def gated(self, call: Call) -> Rule | None:
        """The first rule that holds or counts calls such as this one, unless it is done."""
        for rule in self._rules:
            if rule.kind in GATED and not rule.gate.is_open and rule.matches(call):
                return rule
        return None

    def take(self, call: Call, is_stale: Callable[[Rule, Call], bool]) -> Rule | None:
        """The rule to apply to this call, counted as applied. Every matching rule counts the call as seen."""
        if not self._rules:
            return None
        picked: Rule | None = None
        with self._changed:
            for rule in self._rules:
                if rule.kind in GATED or not rule.matches(call) or (rule.kind == "stale" and call.is_write):
                    continue
                rule.seen += 1
                spent = rule.count is not None and rule.applied >= rule.count
                if picked is not None or rule.seen <= rule.after or spent or not rule.chosen():
                    continue
                if rule.kind == "stale" and not is_stale(rule, call):
                    continue
                rule.applied += 1
                picked = rule
        return picked

    def tell(self, rule: Rule, sequence: int) -> None:
        """Wake whoever waits for the rule: it was applied, and the record has the call."""
        with self._changed:
            rule.last_call = sequence
            if rule.kind in GATED:
                rule.applied += 1
            self._changed.notify_all()

    def wait(self, identifier: str, applied: int, seconds: float) -> Rule:
        """Return once the rule was applied so often and the record has it, or after `seconds`."""
        until = time.monotonic() + seconds
        with self._changed:
            rule = self.get(identifier)
            while rule.applied < applied or rule.last_call is None:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
        return rule
