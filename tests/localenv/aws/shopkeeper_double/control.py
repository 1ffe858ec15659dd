"""What a test or a demonstration asks of the double itself, over HTTP under /_double/. README.md has the list."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.model_instances import reset_model_data
from werkzeug.wrappers import Response

from . import services
from .inventory import inventory
from .lifecycle import clock, force, forget_all, settings
from .middleware.faults import Rule
from .middleware.record import CallRecord
from .middleware.throttle import PRESETS
from .services import service_quotas

if TYPE_CHECKING:
    from .middleware import Middleware

#: What looks at no resource, so that it need not wait for its turn among the calls (and may itself wait for one).
WITHOUT_TURNS = frozenset(
    {("GET", "calls"), ("GET", "faults"), ("POST", "faults"), ("GET", "faults/applied"), ("POST", "faults/release")}
)

SETTINGS = frozenset(
    {"transition_seconds", "transitions", "outcomes", "throttle", "throttle_preset", "nodes_are_played", "quotas"}
)


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
            ("GET", "faults/applied"): self._wait_for_fault,
            ("POST", "faults/release"): self._release,
            ("POST", "states"): self._force_state,
            ("POST", "nodes"): self._nodes_replaced,
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
            if (method, name) in WITHOUT_TURNS:
                return _json(handler(query, parsed))
            with self.middleware.turn:
                return _json(handler(query, parsed))
        except ValueError as wrong:
            return _json({"error": str(wrong)}, 400)
        except (TypeError, KeyError, AttributeError) as wrong:
            if body or isinstance(wrong, KeyError):  # JSON or a query of another shape than the handler takes
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
        last = self.record.last
        entries = self.record.select(
            since=int(query.get("since", 0)),
            service=query.get("service"),
            operation=query.get("operation"),
            write=_yes(query.get("write")),
            resource=query.get("resource"),
            effect=_yes(query.get("effect")),
        )
        return {"first": self.record.first, "last": max([last, *(each["seq"] for each in entries[-1:])]), "calls": entries}

    def _forget_calls(self, query: dict[str, str], body: Any) -> Any:
        self.record.clear()
        return {"last": self.record.last}

    def _add_faults(self, query: dict[str, str], body: Any) -> Any:
        rules = [Rule.from_json(each) for each in (body if isinstance(body, list) else [body])]
        return {"ids": [self.middleware.faults.add(rule) for rule in rules]}

    def _wait_for_fault(self, query: dict[str, str], body: Any) -> Any:
        """Answers once the rule was applied (`times` times), or after `seconds`."""
        times, seconds = int(query.get("times", 1)), float(query.get("seconds", 30))
        rule = self.middleware.faults.wait(query["id"], times, seconds)
        call = [] if rule.last_call is None else self.record.select(since=rule.last_call - 1)[:1]
        return {"applied": rule.applied >= times, "rule": rule.to_json(), "call": call[0] if call else None}

    def _release(self, query: dict[str, str], body: Any) -> Any:
        return {"released": self.middleware.faults.release(body["id"], bool(body.get("answer", True)))}

    def _force_state(self, query: dict[str, str], body: Any) -> Any:
        """Put resources into a state that they have come to by themselves: storage-full, DEGRADED, failed."""
        unknown = set(body) - {"service", "kind", "name", "state", "detail"}
        if unknown:
            raise ValueError(f"unknown field {', '.join(sorted(unknown))}")
        return {"changed": force(body["service"], body["kind"], body["name"], body.get("state"), body.get("detail"))}

    def _nodes_replaced(self, query: dict[str, str], body: Any) -> Any:
        from moto.eks.models import eks_backends

        account = os.environ.get("MOTO_ACCOUNT_ID", DEFAULT_ACCOUNT_ID)
        backend: Any = eks_backends[account][body["region"]]
        if "fargate_profile" in body:
            return {"accepted": backend.fargate_played(body["cluster"], body["fargate_profile"])}
        return {"accepted": backend.nodes_replaced(body["cluster"], body["nodegroup"], body["update"])}

    def _config(self) -> Any:
        return {
            "transition_seconds": settings.default_seconds,
            "transitions": dict(settings.overrides),
            "nodes_are_played": settings.nodes_are_played,
            "outcomes": {glob: asdict(outcome) for glob, outcome in settings.outcomes.items()},
            "throttle": self.middleware.throttle.describe(),
            "quotas": service_quotas.describe(),
        }

    def _change_config(self, query: dict[str, str], body: Any) -> Any:
        unknown = set(body) - SETTINGS
        if unknown:
            raise ValueError(f"unknown setting {', '.join(sorted(unknown))}")
        if body.get("throttle_preset") not in (None, *PRESETS):
            raise ValueError(f"throttle_preset must be one of {', '.join(PRESETS)}")
        settings.change(
            body.get("transition_seconds"), body.get("transitions"), body.get("outcomes"), body.get("nodes_are_played")
        )
        if body.get("throttle_preset"):
            self.middleware.throttle.change({**PRESETS[body["throttle_preset"]]})
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
        forget_all()
        for module in services.installed:
            if hasattr(module, "reset"):
                module.reset()
        self.record.clear()
        self.middleware.faults.remove()
        self.middleware.throttle.clear()
        self.middleware.stale.clear()
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


def _yes(given: str | None) -> bool | None:
    return None if given is None else given.lower() in ("1", "true", "yes")


def _json(answer: Any, status: int = 200) -> Response:
    return Response(json.dumps(answer, default=str), status=status, content_type="application/json")
