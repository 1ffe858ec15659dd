"""What AWS does to every call, in front of moto: throttling, faults, readable errors, and a record."""

from __future__ import annotations

import io
import select
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from werkzeug.wrappers import Response

from .calls import Call, CallRecord, identify
from .errors import (
    AwsError,
    denied,
    error_code_of,
    not_implemented,
    quota_reached,
    response_for,
    server_fault,
    throttled,
)
from .faults import Faults, Rule
from .stale import EarlierAnswers
from .throttle import Throttle

#: Calls of these services may wait inside moto (long polling), so they do not take turns.
WITHOUT_TURNS = frozenset({"sqs"})


class Middleware:
    """A WSGI application around moto's. `control` answers what is asked under /_double/."""

    def __init__(
        self, application: Any, record: CallRecord, control: Callable[[dict[str, Any], bytes], Response]
    ) -> None:
        self.application = application
        self.record = record
        self.faults = Faults()
        self.throttle = Throttle()
        self.earlier = EarlierAnswers()
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
        if not self.throttle.admits(call):
            return self._refuse(call, throttled(call), "throttle", environ, start_response)
        rule = self.faults.take(call)
        if rule is None:
            response = self._perform(call, environ, body)
            return self._answer(call, response, None, environ, start_response)
        return self._fail(rule, call, environ, body, start_response)

    def _fail(
        self, rule: Rule, call: Call, environ: dict[str, Any], body: bytes, start_response: Any
    ) -> Iterable[bytes]:
        if rule.kind == "stale":
            earlier = None if call.is_write else self.earlier.before_last_write(call, environ, body)
            response = self._perform(call, environ, body) if earlier is None else earlier
            fault = None if earlier is None else rule.kind
            return self._answer(call, response, fault, environ, start_response)
        if rule.kind == "latency":
            time.sleep(rule.seconds or 0.0)
            return self._answer(call, self._perform(call, environ, body), rule.kind, environ, start_response)
        if rule.kind == "timeout":
            _wait_for_caller_to_leave(environ, rule.seconds)
            self.record.add(call, None, None, rule.kind)
            _cut(environ)
        if rule.kind == "lost_response":
            response = self._perform(call, environ, body)
            self.record.add(call, None, error_code_of(response), rule.kind)
            _cut(environ)
        if rule.kind == "truncated":
            response = self._perform(call, environ, body)
            self.record.add(call, response.status_code, error_code_of(response), rule.kind)
            return _half(response, environ, start_response)
        if rule.kind == "error":
            error = AwsError(rule.code or "", rule.message or "Injected by a fault rule.", rule.status)
        elif rule.kind == "throttle":
            error = throttled(call)
        elif rule.kind == "access_denied":
            error = denied(call)
        elif rule.kind == "quota":
            error = quota_reached(call)
        else:
            error = server_fault(call, rule.status or 500)
        if rule.code or rule.message or rule.status:
            error = AwsError(rule.code or error.code, rule.message or error.message, rule.status or error.status)
        return self._refuse(call, error, rule.kind, environ, start_response)

    def _refuse(
        self, call: Call, error: AwsError, fault: str, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        response = _marked(response_for(call, error), call)
        self.record.add(call, response.status_code, error.code, fault)
        return response(environ, start_response)

    def _answer(
        self, call: Call, response: Response, fault: str | None, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        self.record.add(call, response.status_code, error_code_of(response), fault)
        return _marked(response, call)(environ, start_response)

    def _perform(self, call: Call, environ: dict[str, Any], body: bytes) -> Response:
        """Let moto do it. What moto lacks, and its crashes, become errors that an SDK can read."""
        response = self._perform_by_moto(call, environ)
        self.earlier.remember(call, environ, body, response)
        return response

    def _perform_by_moto(self, call: Call, environ: dict[str, Any]) -> Response:
        try:
            if call.service in WITHOUT_TURNS:
                response = Response.from_app(self.application, environ, buffered=True)
            else:
                with self.turn:
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


def _cut(environ: dict[str, Any]) -> None:
    """Close the connection without an answer. Does not return."""
    _hang_up(environ)
    raise ConnectionAbortedError("cut by a fault rule")


def _hang_up(environ: dict[str, Any]) -> None:
    connection: socket.socket | None = environ.get("werkzeug.socket")
    if connection is not None:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # the caller has left already
            pass


def _wait_for_caller_to_leave(environ: dict[str, Any], seconds: float | None) -> None:
    """Return once the caller has closed the connection, or after `seconds`."""
    connection: socket.socket | None = environ.get("werkzeug.socket")
    until = None if seconds is None else time.monotonic() + seconds
    while until is None or time.monotonic() < until:
        if connection is None:
            time.sleep(0.05)
            continue
        left = 1.0 if until is None else max(0.0, min(1.0, until - time.monotonic()))
        readable, _, _ = select.select([connection], [], [], left)
        if readable and connection.recv(1, socket.MSG_PEEK) == b"":
            return
        if readable:  # more data is there but nothing closed: look again a little later
            time.sleep(0.05)


def _half(response: Response, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Announce the whole answer, send half of it, and cut."""
    whole = response.get_data()
    response.headers["Content-Length"] = str(len(whole))
    start_response(response.status, response.get_wsgi_headers(environ).to_wsgi_list())
    yield whole[: len(whole) // 2]
    _hang_up(environ)
    raise ConnectionAbortedError("truncated by a fault rule")
