"""What AWS does to every call, in front of moto: throttling, faults, readable errors, and a record."""

from __future__ import annotations

import io
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Response

from . import connection
from .calls import Call, identify
from .errors import (
    AwsError,
    denied,
    error_code_of,
    expired,
    not_implemented,
    quota_reached,
    response_for,
    server_fault,
    throttled,
)
from .faults import Faults, Rule
from .record import CallRecord
from .stale import Staleness, put_back
from .throttle import Throttle

#: Calls that may wait inside moto (long polling), so they do not take turns.
WITHOUT_TURNS = frozenset({("sqs", "ReceiveMessage")})
#: Kinds of faults that refuse a call.
ERRORS: dict[str, Callable[[Call], AwsError]] = {
    "throttle": throttled,
    "access_denied": denied,
    "expired_credentials": expired,
    "quota": quota_reached,
}
#: Kinds of faults whose caller gets no answer.
UNANSWERED = frozenset({"timeout", "reset", "lost_response"})


@dataclass
class Answer:
    """What a call comes to: its answer, how that reaches the caller, and what the record says of it."""

    entry: dict[str, Any]
    response: Response | None
    rule: Rule | None = None

    @property
    def had_effect(self) -> bool:
        """A write that was carried out, or a read that was answered."""
        return bool(self.entry["effect"]) or (not self.entry["write"] and self.entry["error_code"] is None)


class Middleware:
    """A WSGI application around moto's. `control` answers what is asked under /_double/."""

    def __init__(
        self, application: Any, record: CallRecord, control: Callable[[dict[str, Any], bytes], Response]
    ) -> None:
        self.application = application
        self.record = record
        self.faults = Faults()
        self.throttle = Throttle()
        self.stale = Staleness()
        self.crashes = 0
        self._control = control
        #: Calls take turns: moto checks, then creates, without locks of its own, and services look into each other.
        #: In one Python process this costs no throughput. Faults that wait do so outside of it.
        self.turn = threading.RLock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = _read_body(environ)
        path = environ.get("PATH_INFO", "")
        if path.startswith("/_double"):
            return self._control(environ, body)(environ, start_response)
        if path.startswith("/moto-api"):
            return self.application(environ, start_response)
        call = identify(environ, body)
        if self.faults.callers_were_cut and connection.has_left(environ):
            # Sent before its caller was killed and read only now: what the gate held back must not slip through behind it.
            connection.reset(environ)
        rule = self.faults.gated(call)
        if rule is None:
            return self._answer(call, self._serve(call, environ), environ, start_response)
        return self._through_gate(rule, call, environ, start_response)

    # --- carrying out -----------------------------------------------------------------------------------------------

    def _serve(self, call: Call, environ: dict[str, Any]) -> Answer:
        """Carry the call out, unless it is throttled or a rule is against it, and record it."""
        if not self.throttle.admits(call):
            return self._refuse(call, throttled(call), "throttle", None)
        rule = self.faults.take(call, lambda rule, call: self.stale.window(rule, call) is not None)
        if rule is not None:
            if rule.kind in ERRORS or rule.kind in ("error", "5xx"):
                answer = self._refuse(call, _error_of(rule, call), rule.kind, rule)
            elif rule.kind in ("timeout", "reset"):
                answer = Answer(self.record.add(call, None, None, rule.kind, effect=False), None, rule)
            else:
                answer = self._perform(call, environ, rule)
            self.faults.tell(rule, answer.entry["seq"])
            return answer
        return self._perform(call, environ, None)

    def _refuse(self, call: Call, error: AwsError, fault: str, rule: Rule | None) -> Answer:
        response = response_for(call, error)
        return Answer(self.record.add(call, response.status_code, error.code, fault, effect=False), response, rule)

    def _perform(self, call: Call, environ: dict[str, Any], rule: Rule | None) -> Answer:
        """Let moto do it, and record it before the next call has its turn."""
        with nullcontext() if (call.service, call.operation) in WITHOUT_TURNS else self.turn:
            if rule is not None and rule.kind == "stale":
                window = self.stale.window(rule, call)
                if window is None:  # it ended meanwhile
                    rule, response = None, self._perform_by_moto(call, environ)
                else:
                    response = self.stale.answer(window, lambda: self._perform_by_moto(call, environ))
            elif rule is not None and rule.kind == "put_back":
                response = put_back(call, lambda: self._perform_by_moto(call, environ))
            else:
                stale = self.faults.stale() if call.is_write else []
                windows = self.stale.before_write(call, stale) if stale else []
                response = self._perform_by_moto(call, environ)
                if windows:
                    self.stale.after_write(windows, response)
            fault = None if rule is None else rule.kind
            status = None if fault in UNANSWERED else response.status_code
            effect = call.is_write and response.status_code < 400
            return Answer(self.record.add(call, status, error_code_of(response), fault, effect), response, rule)

    def _perform_by_moto(self, call: Call, environ: dict[str, Any]) -> Response:
        """What moto lacks, and its crashes, become errors that an SDK can read."""
        try:
            response = Response.from_app(self.application, environ, buffered=True)
        except NotImplementedError:
            return response_for(call, not_implemented(call))
        except Exception as crash:
            if call.operation is None:
                return response_for(call, not_implemented(call))
            self.crashes += 1
            traceback.print_exc(file=sys.stderr)
            told = f"The double crashed: {type(crash).__name__}: {crash}"
            return response_for(call, AwsError(server_fault(call).code, told, 500))
        if _is_missing_route(response):
            return response_for(call, not_implemented(call))
        return response

    # --- answering --------------------------------------------------------------------------------------------------

    def _answer(self, call: Call, answer: Answer, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Bring the answer to the caller, or what the rule leaves of it."""
        response, rule = answer.response, answer.rule
        if rule is not None and rule.kind == "latency":
            time.sleep(rule.seconds or 0.0)
            self.record.answered(answer.entry, call, answer.entry["status"])
        if rule is not None and rule.kind == "timeout":
            connection.wait_for_caller_to_leave(environ, rule.seconds)
            self.record.answered(answer.entry, call, None)
        if response is None or (rule is not None and rule.kind in UNANSWERED):
            connection.reset(environ)
        assert response is not None
        if rule is not None and rule.kind == "truncated":
            return connection.half_of(_marked(response, call), environ, start_response)
        if rule is not None and rule.kind == "truncated_body":
            response = connection.cut_short(response)
        return _marked(response, call)(environ, start_response)

    def _through_gate(
        self, rule: Rule, call: Call, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        """One call at a time, until the gate shuts; then wait for its release."""
        gate = rule.gate
        with gate.turn:
            answer: Answer | None = None
            waits, is_the_one = gate.stops_before()
            if waits:
                gate.enter()
            if is_the_one:
                self.faults.tell(rule, self.record.last)
            if not waits:
                answer = self._serve(call, environ)
                waits, is_the_one = gate.stops_after(answer.had_effect)
                if waits:
                    gate.enter()
                    answer.entry.update(fault=rule.kind, status=None)
                if is_the_one:
                    self.faults.tell(rule, answer.entry["seq"])
        if waits:
            try:
                left = connection.wait_for_caller_to_leave(environ, rule.seconds, gate.released)
            finally:
                gate.leave()
            if left or not gate.is_open or not gate.answers:
                if answer is None:
                    self.record.add(call, None, None, rule.kind, effect=False)
                connection.reset(environ)
            if answer is not None and answer.response is not None:
                self.record.answered(answer.entry, call, answer.response.status_code)
        if answer is None:
            answer = self._serve(call, environ)
        return self._answer(call, answer, environ, start_response)


def _error_of(rule: Rule, call: Call) -> AwsError:
    if rule.kind == "error":
        return AwsError(rule.code or "", rule.message or "Injected by a fault rule.", rule.status)
    error = ERRORS[rule.kind](call) if rule.kind in ERRORS else server_fault(call, rule.status or 500)
    return AwsError(rule.code or error.code, rule.message or error.message, rule.status or error.status)


def _marked(response: Response, call: Call) -> Response:
    """The answer with the request id that the record has for this call, in the header that SDKs read it from."""
    response.headers["x-amz-request-id" if call.service == "s3" else "x-amzn-RequestId"] = call.request_id
    return response


def _is_missing_route(response: Response) -> bool:
    """Flask's own page for a path or method that moto has no handler for."""
    if response.status_code not in (404, 405) or not (response.content_type or "").startswith("text/html"):
        return False
    return response.get_data()[:400].lower().startswith(b"<!doctype html>")


def _read_body(environ: dict[str, Any]) -> bytes:
    """Read the whole body, so that the connection stays in step however the call is answered."""
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated") or environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        body = stream.read()
    else:
        body = stream.read(int(environ.get("CONTENT_LENGTH") or 0))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    return body
