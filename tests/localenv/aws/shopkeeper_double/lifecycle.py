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
(`eks.nodegroup.creating` to `CREATE_FAILED`), and then `on_settled` is not run. What a test says of the failure beside its
state (a code, a message) is in `lifecycle.detail`. A resource that fails later, by itself, is put into its state by `force`.

Where a lifecycle has a `name`, a glob may go on with it: `rds.db-instance.creating/orders-*`.
"""

from __future__ import annotations

import fnmatch
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

#: The state after a deletion: the resource is no longer described and its name is free again.
GONE = "(gone)"

#: What AWS says lasts so long, whatever the default is. An override may still shorten it.
FIXED_SECONDS = {"sqs.queue.deleted-recently": 60.0, "sqs.queue.purging": 60.0}


class Clock:
    """Monotonic seconds, which a test may move forward."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        return time.monotonic() + self._ahead

    @property
    def ahead(self) -> float:
        """How far it was moved: by so much it is later than on the machine."""
        return self._ahead

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self._ahead += seconds


@dataclass
class Outcome:
    """How the next `count` transitions end (all of them when left out), and what the service tells of it."""

    then: str
    count: int | None = None
    detail: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.then == "GONE":  # what is rolled back: an index that could not be made
            self.then = GONE


def _longest_match(globs: Iterable[str], service: str, kind: str, state: str, name: str | None) -> str | None:
    transition = f"{service}.{kind}.{state}".lower()

    def matches(glob: str) -> bool:
        of_transition, slash, of_name = glob.partition("/")
        if not fnmatch.fnmatchcase(transition, of_transition.lower()):
            return False
        return not slash or fnmatch.fnmatchcase(name or "", of_name)

    matching = [glob for glob in globs if matches(glob)]
    return max(matching, key=lambda glob: ("/" in glob, len(glob))) if matching else None


class TransitionSettings:
    """How many seconds transitions last; may be changed while the double runs."""

    def __init__(self, default_seconds: float = 0.0) -> None:
        self._lock = threading.Lock()
        self.default_seconds = default_seconds
        self.overrides: dict[str, float] = {}
        self.outcomes: dict[str, Outcome] = {}
        #: Whether someone plays the nodes of node groups and says when they are replaced (POST /_double/nodes).
        self.nodes_are_played = False

    def seconds(self, service: str, kind: str, state: str, name: str | None = None) -> float:
        with self._lock:
            glob = _longest_match(self.overrides, service, kind, state, name)
            usual = FIXED_SECONDS.get(f"{service}.{kind}.{state}", self.default_seconds)
            return usual if glob is None else self.overrides[glob]

    def take_outcome(self, service: str, kind: str, state: str, name: str | None = None) -> Outcome | None:
        """How this transition is to end instead of its usual way, counted as used."""
        with self._lock:
            glob = _longest_match(self.outcomes, service, kind, state, name)
            if glob is None:
                return None
            outcome = self.outcomes[glob]
            if outcome.count is not None:
                outcome.count -= 1
                if outcome.count <= 0:
                    del self.outcomes[glob]
            return outcome

    def change(
        self,
        default_seconds: float | None = None,
        overrides: dict[str, float | None] | None = None,
        outcomes: dict[str, dict[str, Any] | None] | None = None,
        nodes_are_played: bool | None = None,
    ) -> None:
        """Set the default, and add overrides and outcomes ({"then": state, "count": 1}); one of None is removed."""
        parsed = {glob: None if given is None else Outcome(**given) for glob, given in (outcomes or {}).items()}
        with self._lock:
            for glob, outcome in parsed.items():
                if outcome is None:
                    self.outcomes.pop(glob, None)
                else:
                    self.outcomes[glob] = outcome
            if nodes_are_played is not None:
                self.nodes_are_played = bool(nodes_are_played)
            if default_seconds is not None:
                self.default_seconds = float(default_seconds)
            for glob, seconds in (overrides or {}).items():
                if seconds is None:
                    self.overrides.pop(glob, None)
                else:
                    self.overrides[glob] = float(seconds)


clock = Clock()
settings = TransitionSettings()
#: Every lifecycle whose resource is still held by someone.
_alive: "weakref.WeakSet[Lifecycle]" = weakref.WeakSet()
_freezing = False


@contextmanager
def frozen_copies() -> Iterator[None]:
    """While it lasts, copies of resources no longer change with time."""
    global _freezing
    _freezing = True
    try:
        yield
    finally:
        _freezing = False


class Lifecycle:
    """The state of one resource: settled, or in transition to another state until a moment."""

    def __init__(self, service: str, kind: str, settled: str, name: str | None = None) -> None:
        self.service = service
        self.kind = kind
        self.name = name
        #: What is told of the state beside its name, where it is one of failure.
        self.detail: dict[str, Any] | None = None
        self._settled = settled
        self._state = settled
        self._next: str | None = None
        self._next_detail: dict[str, Any] | None = None
        self._until = 0.0
        self._unless: Callable[[], bool] | None = None
        self._on_settled: Callable[[], Any] | None = None
        _alive.add(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Lifecycle":
        """In a frozen copy it stays as it is now: the effects of a transition belong to the resource itself."""
        state, in_transition = self.state, self.in_transition
        copied = Lifecycle.__new__(Lifecycle)
        copied.__dict__.update(self.__dict__)
        if _freezing:
            copied.__dict__.update(_on_settled=None, _unless=None, _state=state)
            copied._until = float("inf") if in_transition else 0.0
        else:
            _alive.add(copied)
        return copied

    def begin(
        self,
        state: str,
        then: str | None = None,
        on_settled: Callable[[], Any] | None = None,
        seconds: float | None = None,
        unless: Callable[[], bool] | None = None,
    ) -> None:
        """Enter `state`, then `then` (the usual settled state when left out) once its time is over.

        A transition that is still under way is finished first, so that its effect is not lost. As long as `unless()` is
        true, the transition lasts on beyond its time.
        """
        self._finish()
        self._state, self.detail = state, None
        outcome = settings.take_outcome(self.service, self.kind, state, self.name)
        if outcome is None:
            self._next = then if then is not None else self._settled
            self._on_settled, self._unless, self._next_detail = on_settled, unless, None
        else:
            self._next, self._on_settled, self._unless = outcome.then, None, None
            self._next_detail = outcome.detail
        lasting = settings.seconds(self.service, self.kind, state, self.name) if seconds is None else seconds
        self._until = clock.now() + lasting

    def force(self, state: str | None, detail: dict[str, Any] | None = None) -> None:
        """Come into a state by itself, as a disk fills or a node group loses its capacity; None is the usual state."""
        self._finish()
        self.settle(self._settled if state is None else state)
        self.detail = detail

    def settle(self, state: str) -> None:
        """Be in `state` at once and stay there (stopped, failed), dropping a transition under way."""
        self._state, self._next, self._on_settled, self.detail = state, None, None, None

    @property
    def state(self) -> str:
        if self._next is not None and clock.now() >= self._until and not (self._unless and self._unless()):
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
        self.detail, self._next_detail = self._next_detail, None
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


def forget_all() -> None:
    """The account is emptied: what was in it is no longer found by `force`."""
    _alive.clear()


def force(service: str, kind: str, name: str, state: str | None, detail: dict[str, Any] | None = None) -> int:
    """Put every resource of this kind whose name matches the glob into a state; returns how many there are."""
    found = [
        each
        for each in list(_alive)
        if (each.service, each.kind) == (service, kind) and fnmatch.fnmatchcase(each.name or "", name) and not each.gone
    ]
    for each in found:
        each.force(state, detail)
    return len(found)
