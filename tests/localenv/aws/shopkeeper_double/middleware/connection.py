"""The caller's connection: wait on it, and close it the way a network does."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

from werkzeug.wrappers import Response


def reset(environ: dict[str, Any]) -> None:
    """Reset the connection (RST) without an answer. Does not return."""
    connection: socket.socket | None = environ.get("werkzeug.socket")
    if connection is not None:
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(connection.detach())
        except OSError:  # the caller has left already
            pass
    raise ConnectionResetError("reset by a fault rule")


def half_of(response: Response, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Announce the whole answer, send half of it, and close the connection."""
    whole = response.get_data()
    response.headers["Content-Length"] = str(len(whole))
    start_response(response.status, response.get_wsgi_headers(environ).to_wsgi_list())
    yield whole[: len(whole) // 2]
    connection: socket.socket | None = environ.get("werkzeug.socket")
    if connection is not None:
        try:
            connection.shutdown(socket.SHUT_RDWR)  # not a reset, which would take back what was sent
        except OSError:
            pass
    raise ConnectionAbortedError("truncated by a fault rule")


def cut_short(response: Response) -> Response:
    """Half of the answer's body, announced as if it were all of it: HTTP is right and the document is not."""
    whole = response.get_data()
    response.set_data(whole[: len(whole) // 2])
    return response


def has_left(environ: dict[str, Any]) -> bool:
    """Whether the caller has closed the connection, as a killed process has."""
    connection: socket.socket | None = environ.get("werkzeug.socket")
    if connection is None:
        return False
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def wait_for_caller_to_leave(environ: dict[str, Any], seconds: float | None, released: int | None = None) -> bool:
    """Return True once the caller has closed the connection; False after `seconds`, or when `released` is readable."""
    connection: socket.socket | None = environ.get("werkzeug.socket")
    until = None if seconds is None else time.monotonic() + seconds
    watched: list[Any] = [each for each in (connection, released) if each is not None]
    while until is None or time.monotonic() < until:
        left = 1.0 if until is None else max(0.0, min(1.0, until - time.monotonic()))
        readable, _, _ = select.select(watched, [], [], left)
        if released is not None and released in readable:
            return has_left(environ)
        if connection is not None and connection in readable:
            try:
                if connection.recv(1, socket.MSG_PEEK) == b"":
                    return True
            except OSError:
                return True
            time.sleep(0.05)  # more data is there but nothing closed: look again a little later
    return False
