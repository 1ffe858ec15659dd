"""What a test or a demonstration asks of the double itself, over HTTP under /_double/. README.md has the list."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.model_instances import reset_model_data
from werkzeug.wrappers import Response

from . import services
from .inventory import inventory
from .lifecycle import clock, settings
from .middleware.calls import CallRecord
from .middleware.faults import Rule
from .services import service_quotas

if TYPE_CHECKING:
    from .middleware import Middleware


class Control:
    """Routes and answers; JSON in and out. A request that makes no sense is answered 400 with `error`."""

    def __init__(self, record: CallRecord) -> None:
        self.record = record
        self.middleware: Middleware
        self._routes: dict[tuple[str, str], Callable[[dict[str, str], Any], Any]] = {
            ("GET", "health"): self._health,
            ("GET", "calls"): self._calls,
            ("DELETE", "calls"): self._forget_calls,
            ("GET", "faults"): lambda query, body: {"faults": self.middleware.faults.list()},
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): lambda query, body: {"removed": self.middleware.faults.remove(query.get("id"))},
            ("GET", "config"): lambda query, body: self._config(),
            ("PUT", "config"): self._change_config,
            ("POST", "clock"): self._advance_clock,
            ("POST", "reset"): self._reset,
            ("GET", "inventory"): self._inventory,
        }

    def __call__(self, environ: dict[str, Any], body: bytes) -> Response:
        name = environ.get("PATH_INFO", "").removeprefix("/_double").strip("/")
        method = environ.get("REQUEST_METHOD", "GET")
        handler = self._routes.get((method, name))
        if handler is None:
            known = any(route == name for _, route in self._routes)
            return _json({"error": f"no {method} {name}"}, 405 if known else 404)
        query = {key: values[-1] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        try:
            parsed = json.loads(body) if body else None
            with self.middleware.turn:
                return _json(handler(query, parsed))
        except ValueError as wrong:
            return _json({"error": str(wrong)}, 400)
        except (TypeError, KeyError, AttributeError) as wrong:
            if body:  # JSON of another shape than the handler takes
                return _json({"error": f"{type(wrong).__name__}: {wrong}"}, 400)
            raise

    def _health(self, query: dict[str, str], body: Any) -> Any:
        return {
            "status": "ok",
            "services": services.install_all(),
            "calls": self.record.last,
            "crashes": self.middleware.crashes,
        }

    def _calls(self, query: dict[str, str], body: Any) -> Any:
        write = query.get("write")
        entries = self.record.select(
            since=int(query.get("since", 0)),
            service=query.get("service"),
            operation=query.get("operation"),
            write=None if write is None else write.lower() in ("1", "true", "yes"),
        )
        return {"last": self.record.last, "calls": entries}

    def _forget_calls(self, query: dict[str, str], body: Any) -> Any:
        self.record.clear()
        return {"last": self.record.last}

    def _add_faults(self, query: dict[str, str], body: Any) -> Any:
        rules = [Rule.from_json(each) for each in (body if isinstance(body, list) else [body])]
        return {"ids": [self.middleware.faults.add(rule) for rule in rules]}

    def _config(self) -> Any:
        return {
            "transition_seconds": settings.default_seconds,
            "transitions": dict(settings.overrides),
            "outcomes": {glob: asdict(outcome) for glob, outcome in settings.outcomes.items()},
            "throttle": self.middleware.throttle.describe(),
            "quotas": service_quotas.describe(),
        }

    def _change_config(self, query: dict[str, str], body: Any) -> Any:
        unknown = set(body) - {"transition_seconds", "transitions", "outcomes", "throttle", "quotas"}
        if unknown:
            raise ValueError(f"unknown setting {', '.join(sorted(unknown))}")
        settings.change(body.get("transition_seconds"), body.get("transitions"), body.get("outcomes"))
        if "throttle" in body:
            self.middleware.throttle.change(body["throttle"])
        if "quotas" in body:
            service_quotas.change(body["quotas"])
        return self._config()

    def _advance_clock(self, query: dict[str, str], body: Any) -> Any:
        clock.advance(float(body["advance_seconds"]))
        return {"advanced": float(body["advance_seconds"])}

    def _reset(self, query: dict[str, str], body: Any) -> Any:
        _forget_backends()
        for module in services.installed:
            if hasattr(module, "reset"):
                module.reset()
        self.record.clear()
        self.middleware.faults.remove()
        self.middleware.throttle.clear()
        self.middleware.earlier.clear()
        settings.outcomes.clear()
        return {"status": "ok"}

    def _inventory(self, query: dict[str, str], body: Any) -> Any:
        return {"resources": inventory(query.get("region"), query.get("service"))}


def _forget_backends() -> None:
    """Drop every backend. moto's own reset first makes each one anew, which takes IAM half a second, and then drops it."""
    for backends in list(BackendDict._instances):
        for of_account in list(backends.values()):
            for backend in list(of_account.values()):
                if type(backend).reset is not BaseBackend.reset:  # has more to put away than its memory, as S3 has files
                    backend.reset()
        backends.clear()
    BackendDict._instances.clear()
    reset_model_data()


def _json(answer: Any, status: int = 200) -> Response:
    return Response(json.dumps(answer, default=str), status=status, content_type="application/json")
