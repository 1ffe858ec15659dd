"""moto's server application inside our middleware, on one port."""

from __future__ import annotations

import os
import warnings
from typing import Any

# moto reads these when it is imported.
os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")  # else attaching an AWS-managed policy is NoSuchEntity
os.environ.setdefault("MOTO_ACM_VALIDATION_WAIT", "2")  # seconds from PENDING_VALIDATION to ISSUED; moto's default is 60
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
os.environ.setdefault("MOTO_DISABLE_GLOBAL_CORS", "true")

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app  # noqa: E402
from werkzeug.serving import BaseWSGIServer, make_server  # noqa: E402

from . import services  # noqa: E402
from .control import Control  # noqa: E402
from .middleware import Middleware  # noqa: E402
from .middleware.record import CallRecord  # noqa: E402
from .services import cloudtrail  # noqa: E402


# Common errors such as throttling are in no service's model; moto warns of each one it writes.
warnings.filterwarnings("ignore", message=".*does not match an error shape.*", category=UserWarning)


class Dispatcher(DomainDispatcherApplication):
    """Says so when moto lacks a service altogether, where moto itself would crash."""

    def get_backend_for_host(self, host: str | None) -> Any:
        backend = super().get_backend_for_host(host)
        if backend is None and host is not None:
            raise NotImplementedError(f"moto has no service for {host}")
        return backend


class RequestHandler(MotoRequestHandler):
    """Without a line on stderr for each request: the call record has more to say."""

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        pass

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """Reset by a fault rule, or left by the caller: either way there is no next request on it."""
        self.close_connection = True


def create_application(calls_log: str | None = None) -> Middleware:
    """The whole double as a WSGI application, with every service module installed."""
    services.install_all()
    record = CallRecord(calls_log)
    cloudtrail.record = record
    control = Control(record)
    middleware = Middleware(Dispatcher(create_backend_app), record, control)
    control.middleware = middleware
    return middleware


def create_server(host: str, port: int, calls_log: str | None = None) -> BaseWSGIServer:
    """A server that listens already; port 0 takes a free one, found in `server.port`."""
    server = make_server(host, port, create_application(calls_log), threaded=True, request_handler=RequestHandler)
    os.environ["MOTO_PORT"] = str(server.port)
    return server
