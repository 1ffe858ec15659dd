"""Reads that are only eventually consistent: for a while after a write they are answered as before it.

While a rule of kind `stale` is in force, the state of a service is copied before each write that the rule speaks of. Reads
that concern what was written are then answered from the copy: a created resource is not found, a deleted one is still
listed, a changed one and its tags show their old values. Only answers are stale: what the writes did stands.
"""

from __future__ import annotations

import copy
import copyreg
import fnmatch
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from moto.core.base_backend import BackendDict, BaseBackend
from werkzeug.wrappers import Response

from shopkeeper_double.lifecycle import clock, frozen_copies

from .calls import Call
from .faults import Rule

#: A rule without limits keeps this many copies.
LARGEST_NUMBER_OF_WINDOWS = 50
#: moto's names for services, where they are not botocore's.
MOTO_NAMES = {"application-autoscaling": "applicationautoscaling", "service-quotas": "servicequotas"}
#: What a created resource is called by, in its answer: ARNs, URLs of queues, and identifiers.
GIVEN_NAMES = re.compile(
    r"arn:aws[\w-]*:[^\"<>\s]+|(?<=QueueUrl\":\")[^\"]+|(?<=QueueUrl\": \")[^\"]+|(?<=Id\":\")[^\"]+|(?<=Id\": \")[^\"]+"
)

# Copies have locks of their own.
for _lock in (threading.Lock, threading.RLock, threading.Condition, threading.Event):
    copyreg.pickle(type(_lock()), lambda _, make=_lock: (make, ()))  # type: ignore[arg-type]


@dataclass
class Copies:
    """A service as it was: its backends, and where S3 notes who owns a name."""

    backends: dict[tuple[str, str], BaseBackend]
    bucket_accounts: dict[Any, Any] | None = None


@dataclass
class Window:
    """The time after one write in which reads may be stale."""

    before: "Copies"
    region: str
    #: What the write was about: its first resource, by its name and as it was called in the request and in the answer.
    subject: set[str]
    #: All that it named, a cluster or topic above its subject too.
    names: set[str]
    until: float | None
    reads_left: int | None

    @property
    def is_over(self) -> bool:
        return (self.until is not None and clock.now() >= self.until) or self.reads_left == 0

    def concerns(self, call: Call) -> bool:
        """Whether a read is about what was written: it names it, or it lists."""
        if not call.resources:
            return True
        named = {part for name in call.resources for part in (name, *_own_names(name))}
        if self.subject & named:
            return True
        is_list = bool(re.match(r"List(?!Tags|ResourceTags)", call.operation or ""))
        return is_list and bool(self.names & {part for name in call.resources for part in _parts(name)})


@dataclass
class Staleness:
    """The windows that are open, by rule."""

    _windows: dict[str, list[Window]] = field(default_factory=dict)

    def before_write(self, call: Call, rules: list[Rule]) -> list[Window]:
        """Copy the service's state for each rule that makes reads after this write stale."""
        speaking = [rule for rule in rules if _speaks_of(rule, call)]
        if not speaking:
            return []
        before = _copy_of(call.service, call.region)
        opened: list[Window] = []
        for rule in speaking:
            window = Window(
                before=before,
                region=call.region,
                subject={each for name in call.resources[:1] for each in (name, *_own_names(name))},
                names={part for name in call.resources for part in _parts(name)},
                until=None if rule.seconds is None else clock.now() + rule.seconds,
                reads_left=rule.reads,
            )
            windows = [each for each in self._windows.get(rule.id, []) if not each.is_over]
            self._windows[rule.id] = [*windows, window][-LARGEST_NUMBER_OF_WINDOWS:]
            opened.append(window)
        return opened

    def after_write(self, windows: list[Window], response: Response) -> None:
        """A refused write changed nothing; a new resource is known by what the answer calls it."""
        if response.status_code >= 400:
            for held in self._windows.values():
                held[:] = [each for each in held if each not in windows]
            return
        text = response.get_data()[:65536].decode("utf-8", "replace")
        for window in windows:
            window.subject.update(GIVEN_NAMES.findall(text)[:50])

    def window(self, rule: Rule, call: Call) -> Window | None:
        """The window whose state this read is answered from: that of the newest write it concerns."""
        for window in reversed(self._windows.get(rule.id, [])):
            if not window.is_over and window.region == call.region and window.concerns(call):
                return window
        return None

    def answer(self, window: Window, perform: Callable[[], Response]) -> Response:
        """Answer as before the write. The caller holds the turn of all calls."""
        if window.reads_left is not None:
            window.reads_left -= 1
        with _in_place(window.before):
            return perform()

    def clear(self) -> None:
        self._windows.clear()


def put_back(call: Call, perform: Callable[[], Response]) -> Response:
    """Answer a write that somebody else undoes at once. The caller holds the turn of all calls."""
    with _in_place(_copy_of(call.service, call.region)):
        return perform()


def _speaks_of(rule: Rule, call: Call) -> bool:
    if not fnmatch.fnmatchcase(call.service, rule.service):
        return False
    if not fnmatch.fnmatchcase(call.operation or "", rule.writes):
        return False
    return rule.resource is None or any(fnmatch.fnmatchcase(name, rule.resource) for name in call.resources)


def _parts(name: str) -> list[str]:
    """A name, and the names in an ARN or URL."""
    if not name.startswith(("arn:", "http")):
        return [name]
    rest = name.split(":", 5)[-1] if name.startswith("arn:") else name
    return [name, *(part for part in re.split(r"[:/]", rest) if part)]


def _own_names(name: str) -> list[str]:
    """What the resource itself is called in an ARN or URL: its last part, and the one before a UUID."""
    parts = _parts(name)
    return parts[-2:] if len(parts) > 2 and re.fullmatch(r"[0-9a-f-]{32,36}", parts[-1]) else parts[-1:]


def _backends() -> Iterator[tuple[str, Any, str, BaseBackend]]:
    """(service, the dictionary of an account, region or partition, backend) of every backend in use."""
    for of_service in list(BackendDict._instances):
        for of_account in list(of_service.values()):
            for region in list(of_account):
                yield of_service.service_name, of_account, region, dict.__getitem__(of_account, region)


def _copy_of(service: str, region: str) -> Copies:
    """Copies of the service's backends for the region, sharing all that belongs to other services."""
    name = MOTO_NAMES.get(service, service)
    wanted: dict[tuple[str, str], BaseBackend] = {}
    memo: dict[int, Any] = {}
    for of_service, of_account, of_region, backend in _backends():
        if of_service == name and of_region in (region, "aws", "global"):
            wanted[of_account._id, of_region] = backend
        else:
            memo[id(backend)] = backend
    for backend in wanted.values():
        for shared in ("managed_policies", "aws_managed_policies"):  # a thousand documents that nothing changes
            held = getattr(backend, shared, None)
            for policy in held.values() if isinstance(held, dict) else held or []:
                if type(policy).__name__ == "AWSManagedPolicy":
                    memo[id(policy)] = policy
    with frozen_copies():
        copied = {key: copy.deepcopy(backend, memo) for key, backend in wanted.items()}
    return Copies(copied, dict(_buckets()) if service == "s3" else None)


def _buckets() -> dict[Any, Any]:
    from moto.s3.models import s3_backends

    return s3_backends.bucket_accounts


@contextmanager
def _in_place(copies: Copies) -> Iterator[None]:
    """Put copies where moto looks for its backends."""
    replaced: list[tuple[Any, str, BaseBackend]] = []
    for _, of_account, region, backend in _backends():
        if (of_account._id, region) in copies.backends:
            replaced.append((of_account, region, backend))
            dict.__setitem__(of_account, region, copies.backends[of_account._id, region])
    owners = dict(_buckets()) if copies.bucket_accounts is not None else {}
    if copies.bucket_accounts is not None:
        _put(copies.bucket_accounts)
    try:
        yield
    finally:
        for of_account, region, backend in replaced:
            dict.__setitem__(of_account, region, backend)
        if copies.bucket_accounts is not None:
            _put(owners)


def _put(owners: dict[Any, Any]) -> None:
    _buckets().clear()
    _buckets().update(owners)
