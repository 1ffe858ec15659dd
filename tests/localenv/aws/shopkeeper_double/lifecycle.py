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
"""

from __future__ import annotations

import fnmatch
import threading
import time
from collections.abc import Callable, MutableMapping
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


class TransitionSettings:
    """How many seconds transitions last; may be changed while the double runs."""

    def __init__(self, default_seconds: float = 0.0) -> None:
        self._lock = threading.Lock()
        self.default_seconds = default_seconds
        self.overrides: dict[str, float] = {}

    def seconds(self, service: str, kind: str, state: str) -> float:
        name = f"{service}.{kind}.{state}".lower()
        with self._lock:
            matching = [glob for glob in self.overrides if fnmatch.fnmatchcase(name, glob.lower())]
            return self.overrides[max(matching, key=len)] if matching else self.default_seconds

    def change(self, default_seconds: float | None = None, overrides: dict[str, float | None] | None = None) -> None:
        """Set the default, and add overrides; an override of None is removed."""
        with self._lock:
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
        self._next = then if then is not None else self._settled
        self._on_settled = on_settled
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
