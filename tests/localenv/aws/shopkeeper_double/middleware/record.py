"""The record of all calls: who asked what, in which order, and what came of it."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from itertools import islice
from typing import Any, TextIO

from .calls import Call

#: The record forgets the oldest calls beyond either of these.
LARGEST_NUMBER = 100_000
LARGEST_SIZE = 96 * 1024 * 1024
#: What an entry takes besides its parameters.
SIZE_OF_ENTRY = 1024
LONGEST_VALUE = 1024
LONGEST_PARAMETERS = 8192
SECRET = re.compile(
    r"(password|passphrase|secretstring|secretbinary|secretkey|secretaccesskey|authtoken|plaintext|privatekey|credentials?"
    r"|sessiontoken|keymaterial)",
    re.IGNORECASE,
)
#: In XML and in documents inside parameters, where there are no keys to look at.
HIDDEN = "(hidden)"
#: Message and object content is what customers keep, and none of the record's business.
CONTENT = frozenset({"MessageBody", "Message", "Data", "Item", "CiphertextBlob"})


class CallRecord:
    """The latest calls in order, in memory and, where a path is given, as lines of JSON in a file."""

    def __init__(self, log_path: str | None = None) -> None:
        self._lock = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque()
        self._sequence = 0
        self._size = 0
        self._log: TextIO | None = open(log_path, "a", encoding="utf-8", buffering=1) if log_path else None

    def add(
        self, call: Call, status: int | None, error_code: str | None, fault: str | None, effect: bool
    ) -> dict[str, Any]:
        """`status` None: the caller gets no answer. `effect`: a write that was carried out."""
        parameters, size = shown(call.parameters)
        entry = {
            "seq": 0,
            "time": call.began,
            "duration_ms": round((time.time() - call.began) * 1000, 1),
            "service": call.service,
            "operation": call.operation,
            "region": call.region,
            "account": call.account,
            "resources": call.resources,
            "parameters": parameters,
            "write": call.is_write,
            "status": status,
            "error_code": error_code,
            "fault": fault,
            "effect": effect,
            "user_agent": call.user_agent,
            "access_key": call.access_key,
            "request_id": call.request_id,
        }
        with self._lock:
            self._sequence += 1
            entry["seq"] = self._sequence
            entry["size"] = SIZE_OF_ENTRY + size
            self._entries.append(entry)
            self._size += entry["size"]
            while len(self._entries) > LARGEST_NUMBER or self._size > LARGEST_SIZE:
                self._size -= self._entries.popleft()["size"]
            if self._log is not None:
                self._log.write(json.dumps(_told(entry), separators=(",", ":"), default=str) + "\n")
        return entry

    def answered(self, entry: dict[str, Any], call: Call, status: int | None) -> None:
        """What a call that waited was answered in the end."""
        entry["duration_ms"] = round((time.time() - call.began) * 1000, 1)
        entry["status"] = status

    def select(
        self,
        since: int = 0,
        service: str | None = None,
        operation: str | None = None,
        write: bool | None = None,
        resource: str | None = None,
        effect: bool | None = None,
    ) -> list[dict[str, Any]]:
        """Calls with a sequence number above `since`, oldest first."""
        with self._lock:
            first = self._sequence - len(self._entries)
            entries = list(islice(self._entries, max(0, since - first), None))
        return [
            _told(entry)
            for entry in entries
            if (service is None or entry["service"] == service)
            and (operation is None or entry["operation"] == operation)
            and (write is None or entry["write"] == write)
            and (resource is None or resource in entry["resources"])
            and (effect is None or entry["effect"] == effect)
        ]

    @property
    def last(self) -> int:
        return self._sequence

    @property
    def first(self) -> int:
        """The number of the oldest call that is still here; one more than the last when there is none."""
        with self._lock:
            return self._sequence - len(self._entries) + 1

    def clear(self) -> None:
        """Forget the entries. Sequence numbers go on, so that a reader's `since` stays valid."""
        with self._lock:
            self._entries.clear()
            self._size = 0


def _told(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "size"}


def shown(parameters: Mapping[str, Any]) -> tuple[Any, int]:
    """The parameters without secrets and with long values cut, and about how much room they take."""
    if not parameters:
        return {}, 0
    kept = _without_secrets(parameters)
    size = _size(kept)
    if size > LONGEST_PARAMETERS:
        return {key: value if _size(value) <= 256 else "(long)" for key, value in islice(kept.items(), 50)}, 4096
    return kept, size


def _without_secrets(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if SECRET.search(name) and not isinstance(each, bool) and not name.endswith("Arn") else
            "(content)" if name in CONTENT else _without_secrets(each, name)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(each, key) for each in value]
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return value[:LONGEST_VALUE] + "..."
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    return value


def _size(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(64 + len(name) + _size(each) for name, each in value.items())
    if isinstance(value, list):
        return sum(16 + _size(each) for each in value)
    return len(value) if isinstance(value, str) else 16
