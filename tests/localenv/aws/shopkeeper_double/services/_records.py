"""What RDS and ElastiCache have in common: resources kept in the shape of the API's answer, paging, tags, operations.

Both services speak the query protocol, list with MaxRecords and Marker, and show a resource while it is created, modified
and deleted. A `Record` is the answer itself (a dict with the names of botocore's output shape) with a lifecycle beside it,
so that what is stored and what is answered cannot drift apart.
"""

from __future__ import annotations

import base64
import copy
import datetime
import random
import string
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult

from shopkeeper_double.lifecycle import Lifecycle, drop_gone

Shape = dict[str, Any]


class Record(dict[str, Any]):
    """One resource in the shape the API answers with; `shown` adds what changes with time."""

    def __init__(
        self,
        shape: Shape,
        service: str,
        kind: str,
        settled: str = "available",
        status_key: str = "Status",
        tags: Iterable[Shape] | None = None,
    ) -> None:
        super().__init__(shape)
        self.kind = kind
        self.lifecycle = Lifecycle(service, kind, settled, name=_name_of(shape))
        self.status_key = status_key
        self.tags: dict[str, str] = tag_map(tags)
        #: What the API does not show: settings that restores and modifications need.
        self.hidden: dict[str, Any] = {}

    # A record stands for one resource: two with the same content are still two.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    __hash__ = object.__hash__  # type: ignore[assignment]

    @property
    def status(self) -> str:
        """The state now. One transition may begin the next (modifying, then storage-optimization): read until it stays."""
        state = self.lifecycle.state
        while (again := self.lifecycle.state) != state:
            state = again
        return state

    def shown(self, status: str | None = None) -> Shape:
        """The answer at this moment. Deep, since what is returned must not change with the resource.

        `status` is what a call answers that has just begun a transition, however short that may be.
        """
        current = self.status  # first: reading it may apply what a transition ends with
        shape = copy.deepcopy(dict(self))
        shape[self.status_key] = status or current
        shape["TagList"] = tag_list(self.tags)
        return shape


def _name_of(shape: Shape) -> str | None:
    """What a resource is called: the first member of its shape that names it. Shapes begin with their own name."""
    return next((str(value) for key, value in shape.items() if key.endswith(("Identifier", "Name", "Id")) and value), None)


def tag_map(tags: Iterable[Shape] | None) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in tags or []}


def tag_list(tags: dict[str, str]) -> list[Shape]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def refuse(code: str, message: str) -> ServiceException:
    return ServiceException(code, message)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


def random_name(length: int, alphabet: str = string.ascii_lowercase + string.digits) -> str:
    return "".join(random.choices(alphabet, k=length))


def page(params: Shape, items: list[Any], name_of: Callable[[Any], str], smallest: int = 20) -> tuple[list[Any], str | None]:
    """The page that MaxRecords and Marker ask for, and the marker of the next one.

    The marker holds the last name given out, so a list that changes between two pages neither repeats nor skips an entry.
    """
    largest = params.get("MaxRecords")
    if largest is None:
        largest = 100
    elif not smallest <= largest <= 100:
        raise refuse("InvalidParameterValue", f"Invalid value {largest} for MaxRecords. Must be between {smallest} and 100")
    ordered = sorted(items, key=name_of)
    if marker := params.get("Marker"):
        try:
            after = base64.b64decode(marker, validate=True).decode()
        except ValueError as malformed:
            raise refuse("InvalidParameterValue", "The request does not contain a valid marker.") from malformed
        ordered = [item for item in ordered if name_of(item) > after]
    if len(ordered) <= largest:
        return ordered, None
    given = ordered[:largest]
    return given, base64.b64encode(name_of(given[-1]).encode()).decode()


class Operations:
    """The operations of one service as functions `(backend, params) -> answer`, put on moto's response class at install."""

    def __init__(self) -> None:
        self._functions: dict[str, Callable[[Any, Shape], Shape | None]] = {}

    def __call__(self, function: Callable[[Any, Shape], Shape | None]) -> Callable[[Any, Shape], Shape | None]:
        self._functions[function.__name__] = function
        return function

    def put_on(self, response_class: type, backend_of: Callable[[Any], Any], settle: Callable[[Any], None]) -> None:
        for name, function in self._functions.items():
            setattr(response_class, name, self._method(function, backend_of, settle))

    @staticmethod
    def _method(
        function: Callable[[Any, Shape], Shape | None], backend_of: Callable[[Any], Any], settle: Callable[[Any], None]
    ) -> Callable[[Any], ActionResult]:
        def method(response: Any) -> ActionResult:
            backend = backend_of(response)
            settle(backend)
            return ActionResult(function(backend, plain(response.params)))

        method.__name__ = function.__name__
        method.__doc__ = function.__doc__
        return method


def plain(value: Any) -> Any:
    """moto's parsed parameters as ordinary dicts and lists (its RDS parser hands out a dict that changes key case)."""
    original = getattr(value, "original_dict", None)
    if original is not None:
        value = original()
    if isinstance(value, MutableMapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def settle_all(stores: Iterable[MutableMapping[Any, Any]], forget: Callable[[Any], Any] | None = None) -> None:
    """Bring every record to the present: apply what ended transitions leave behind, and drop what is gone."""
    for store in stores:
        for record in list(store.values()):
            if isinstance(record, Record):
                record.status  # noqa: B018 - reading the state applies what the transition ends with
        drop_gone(store, forget)
