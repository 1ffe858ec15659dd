"""Answers from before the last write, for reads that are only eventually consistent."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Response

from .calls import Call

REMEMBERED_READS = 2000
LARGEST_ANSWER = 256 * 1024


@dataclass
class Answers:
    """What one read was answered: the last time, and the last time before the write that came between."""

    writes_before: int
    newest: Response
    before: Response | None = None


class EarlierAnswers:
    """The answers to the latest distinct reads, told apart by everything the caller sent but its signature."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writes: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._answers: OrderedDict[str, Answers] = OrderedDict()

    def remember(self, call: Call, environ: dict[str, Any], body: bytes, response: Response) -> None:
        """Note a call that was performed, whether a read or a write."""
        with self._lock:
            if call.is_write:
                self._writes[call.service, call.region] += 1
                return
            if len(response.get_data()) > LARGEST_ANSWER:
                return
            writes, key = self._writes[call.service, call.region], _key(call, environ, body)
            kept = self._answers.pop(key, None)
            if kept is None or kept.writes_before == writes:
                before = kept.before if kept else None
            else:
                before = kept.newest
            self._answers[key] = Answers(writes, response, before)
            if len(self._answers) > REMEMBERED_READS:
                self._answers.popitem(last=False)

    def before_last_write(self, call: Call, environ: dict[str, Any], body: bytes) -> Response | None:
        """What this read was answered before the service's last write, or None where it was not asked then."""
        with self._lock:
            kept = self._answers.get(_key(call, environ, body))
            if kept is None:
                return None
            return kept.newest if kept.writes_before < self._writes[call.service, call.region] else kept.before

    def clear(self) -> None:
        with self._lock:
            self._answers.clear()
            self._writes.clear()


def _key(call: Call, environ: dict[str, Any], body: bytes) -> str:
    sent = (call.service, call.region, call.operation, call.method, call.path, environ.get("QUERY_STRING", ""))
    return hashlib.sha256(repr(sent).encode() + body).hexdigest()
