"""`python -m shopkeeper_double`: serve until told to stop, or until the process it belongs to is gone."""

from __future__ import annotations

import argparse
import os
import pathlib
import select
import signal
import sys
import threading
import urllib.request

from .lifecycle import settings


def main() -> int:
    parser = argparse.ArgumentParser(prog="shopkeeper_double", description="An AWS double on one port.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--port-file", type=pathlib.Path, help="written with the port once the double answers")
    parser.add_argument("--transition-seconds", type=float, default=0.0, help="how long creating, modifying, deleting last")
    parser.add_argument(
        "--transition",
        action="append",
        default=[],
        metavar="GLOB=SECONDS",
        type=_override,
        help="how long some transitions last, such as rds.*.creating=5; may be given again",
    )
    parser.add_argument("--calls-log", help="append every call to this file, a JSON object a line")
    parser.add_argument("--parent-pid", type=int, help="exit when this process is gone")
    arguments = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if arguments.parent_pid is not None:
        _stop_with_process(arguments.parent_pid, stop)

    from .server import create_server  # after the arguments: importing moto takes a while, --help should not

    settings.change(default_seconds=arguments.transition_seconds, overrides=dict(arguments.transition))
    server = create_server(arguments.host, arguments.port, arguments.calls_log)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    address = f"http://{arguments.host}:{server.port}"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{address}/_double/health", timeout=30):
        pass
    if arguments.port_file is not None:
        _write_atomically(arguments.port_file, f"{server.port}\n")
    print(f"the AWS double answers on {address}", flush=True)

    # Woken now and then so that signals are seen on every platform.
    while not stop.wait(1.0):
        pass
    server.shutdown()
    server.server_close()
    return 0


def _override(text: str) -> tuple[str, float]:
    glob, _, seconds = text.rpartition("=")
    if not glob:
        raise argparse.ArgumentTypeError("expected GLOB=SECONDS")
    return glob, float(seconds)


def _write_atomically(path: pathlib.Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text)
    partial.replace(path)


def _stop_with_process(pid: int, stop: threading.Event) -> None:
    """Set `stop` once the process is gone.

    A pidfd is exact where a pid may be reused. PR_SET_PDEATHSIG would not do: it fires when the thread that started us
    ends, and test runners start processes from threads that come and go.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        stop.set()
        return

    def wait() -> None:
        select.select([descriptor], [], [])
        stop.set()

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
