"""States that last: creating, modifying, deleting.

AWS answers a create call at once and takes minutes to do the work; an operator has to requeue and look again. A resource
here carries a `Lifecycle` whose state is worked out when it is read: no threads, no timers, nothing to stop.

    instance.lifecycle = Lifecycle("rds", "db-instance", settled="available")
    instance.lifecycle.begin("creating")                          # creating, then available
    instance.lifecycle.begin("modifying", on_settled=apply_it)    # apply_it() runs at the first read after the time is over
    instance.lifecycle.begin("deleting", then=GONE)               # deleting, then no longer there
    instance.lifecycle.state                                      # what DescribeDBInstances shows now
    instance.lifecycle.in_transition                              # True while a transition lasts
    drop_gone(backend.databases)                                  # call first in every read: removes what is gone

How long a transition lasts comes from `settings`: a default, and overrides by `<service>.<kind>.<state>` glob, such as
`eks.nodegroup.creating` or `rds.*.deleting`; the longest glob that matches wins. A duration is fixed when the transition
begins. `clock.advance(seconds)` moves every transition on without waiting.

A transition may end badly: `settings.outcomes` says, by the same globs, that the next ones lead to another state
(`eks.nodegroup.creating` to `CREATE_FAILED`), and then `on_settled` is not run.
"""

from __future__ import annotations

import fnmatch
import threading
import time
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

#: The state after a deletion: the resource is no longer described and its name is free again.
GONE = "(gone)"


class Clock:
    """Monotonic seconds, which a test may move forward."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self._ahead += seconds


@dataclass
class Outcome:
    """How the next `count` transitions end (all of them when left out)."""

    then: str
    count: int | None = None


def _longest_match(globs: Iterable[str], service: str, kind: str, state: str) -> str | None:
    name = f"{service}.{kind}.{state}".lower()
    matching = [glob for glob in globs if fnmatch.fnmatchcase(name, glob.lower())]
    return max(matching, key=len) if matching else None


class TransitionSettings:
    """How many seconds transitions last; may be changed while the double runs."""

    def __init__(self, default_seconds: float = 0.0) -> None:
        self._lock = threading.Lock()
        self.default_seconds = default_seconds
        self.overrides: dict[str, float] = {}
        self.outcomes: dict[str, Outcome] = {}

    def seconds(self, service: str, kind: str, state: str) -> float:
        with self._lock:
            glob = _longest_match(self.overrides, service, kind, state)
            return self.default_seconds if glob is None else self.overrides[glob]

    def take_outcome(self, service: str, kind: str, state: str) -> str | None:
        """The state in which this transition is to end instead of its usual one, counted as used."""
        with self._lock:
            glob = _longest_match(self.outcomes, service, kind, state)
            if glob is None:
                return None
            outcome = self.outcomes[glob]
            if outcome.count is not None:
                outcome.count -= 1
                if outcome.count <= 0:
                    del self.outcomes[glob]
            return outcome.then

    def change(
        self,
        default_seconds: float | None = None,
        overrides: dict[str, float | None] | None = None,
        outcomes: dict[str, dict[str, Any] | None] | None = None,
    ) -> None:
        """Set the default, and add overrides and outcomes ({"then": state, "count": 1}); one of None is removed."""
        parsed = {glob: None if given is None else Outcome(**given) for glob, given in (outcomes or {}).items()}
        with self._lock:
            for glob, outcome in parsed.items():
                if outcome is None:
                    self.outcomes.pop(glob, None)
                else:
                    self.outcomes[glob] = outcome
            if default_seconds is not None:
                self.default_seconds = float(default_seconds)
            for glob, seconds in (overrides or {}).items():
                if seconds is None:
                    self.overrides.pop(glob, None)
                else:
                    self.overrides[glob] = float(seconds)


clock = Clock()
settings = TransitionSettings()


class Lifecycle:
    """The state of one resource: settled, or in transition to another state until a moment."""

    def __init__(self, service: str, kind: str, settled: str) -> None:
        self._service = service
        self._kind = kind
        self._settled = settled
        self._state = settled
        self._next: str | None = None
        self._until = 0.0
        self._on_settled: Callable[[], Any] | None = None

    def begin(
        self,
        state: str,
        then: str | None = None,
        on_settled: Callable[[], Any] | None = None,
        seconds: float | None = None,
    ) -> None:
        """Enter `state`, then `then` (the usual settled state when left out) once its time is over.

        A transition that is still under way is finished first, so that its effect is not lost.
        """
        self._finish()
        self._state = state
        outcome = settings.take_outcome(self._service, self._kind, state)
        if outcome is None:
            self._next = then if then is not None else self._settled
            self._on_settled = on_settled
        else:
            self._next, self._on_settled = outcome, None
        lasting = settings.seconds(self._service, self._kind, state) if seconds is None else seconds
        self._until = clock.now() + lasting

    def settle(self, state: str) -> None:
        """Be in `state` at once and stay there (stopped, failed), dropping a transition under way."""
        self._state, self._next, self._on_settled = state, None, None

    @property
    def state(self) -> str:
        if self._next is not None and clock.now() >= self._until:
            self._finish()
        return self._state

    @property
    def in_transition(self) -> bool:
        return self.state is not None and self._next is not None

    @property
    def gone(self) -> bool:
        return self.state == GONE

    def _finish(self) -> None:
        if self._next is None:
            return
        self._state, self._next = self._next, None
        effect, self._on_settled = self._on_settled, None
        if effect is not None:
            effect()


def drop_gone(resources: MutableMapping[Any, Any], forget: Callable[[Any], Any] | None = None) -> None:
    """Remove the entries whose `lifecycle` is gone; `forget(resource)` is called for each one removed.

    Entries without a `lifecycle` attribute are left alone.
    """
    for key, resource in list(resources.items()):
        lifecycle = getattr(resource, "lifecycle", None)
        if lifecycle is not None and lifecycle.gone:
            resources.pop(key, None)
            if forget is not None:
                forget(resource)
