"""Corrections and additions to moto, one module for each AWS service.

Every module in this folder that has an `install() -> None` is found and called once, before the first request; `install`
patches moto. A module whose name starts with an underscore, or that has no `install`, is a part of another module.
What `install` may do, from the lightest to the heaviest:

    from moto.core.exceptions import ServiceException
    from moto.core.responses import ActionResult
    from moto.rds import models, responses
    from shopkeeper_double.lifecycle import GONE, Lifecycle, drop_gone
    from shopkeeper_double.services import replaces

    def install() -> None:
        # 1. Replace or add a method of a moto class IN PLACE. The name is the function's; what was there before is passed
        #    first (None when there was nothing). Subclassing a backend instead would break moto, which finds its URLs
        #    from the module a backend class is defined in.
        @replaces(models.RDSBackend)
        def describe_db_instances(before, self, db_instance_identifier=None, **rest):
            drop_gone(self.databases)
            return before(self, db_instance_identifier, **rest)

        # 2. Add an operation: a method on the response class, named as the operation in snake case. It reads parameters
        #    with self._get_param("DBInstanceIdentifier") (or self.params, where automated_parameter_parsing is on) and
        #    returns ActionResult(dict or object in the shape of botocore's output model). moto serialises it.
        @replaces(responses.RDSResponse)
        def modify_db_widget(before, self):
            return ActionResult({"Widget": {"Name": self._get_param("Name")}})

        # 3. Refuse: the code is the wire code or the shape's name in botocore; the HTTP status comes from the model.
        raise ServiceException("DBInstanceNotFound", "DBInstance db-1 not found.")

        # 4. REST services (eks, s3, ...) need a URL for a new path: urls.url_paths["{0}/clusters/(?P<name>[^/]+)/x$"] =
        #    responses.EKSResponse.dispatch . Query and JSON services have one path and need nothing.
        # 5. A state that shows in answers: make moto's attribute a property over the lifecycle.
        models.DBInstance.status = property(lambda self: self.lifecycle.state, lambda self, value: None)

Calls never run at the same time (those of SQS excepted, which may wait for messages), so check-then-create is safe.
A module may also define `inventory(account_id, region) -> list[dict]`: entries for `GET /_double/inventory` with the keys
service, type, name, arn, status, tags (a dict). Where it does, it stands for the entries that core would list itself for
the services named in its `INVENTORY_SERVICES` tuple.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

installed: list[ModuleType] = []


def replaces(owner: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put the decorated function on `owner` under its own name, and pass it what was there before as first argument."""

    def put(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__
        before = getattr(owner, name, None)

        @functools.wraps(function)
        def method(*args: Any, **kwargs: Any) -> Any:
            return function(before, *args, **kwargs)

        setattr(owner, name, method)
        return method

    return put


def install_all() -> list[str]:
    """Import every module of this package and call its `install()`; returns the names. Safe to call again."""
    if not installed:
        _let_plain_service_exceptions_be_raised()
        for found in sorted(pkgutil.iter_modules(__path__), key=lambda each: each.name):
            if found.name.startswith("_"):
                continue
            module = importlib.import_module(f"{__name__}.{found.name}")
            if hasattr(module, "install"):
                module.install()
                installed.append(module)
    return [module.__name__.rsplit(".", 1)[1] for module in installed]


def _let_plain_service_exceptions_be_raised() -> None:
    """moto looks for a service model named as the package an exception class is in, and crashes on `moto.core`."""
    from moto.core import errors

    before = errors.get_exception_service_model
    errors.get_exception_service_model = lambda error: None if type(error).__module__.startswith("moto.core.") else before(error)
