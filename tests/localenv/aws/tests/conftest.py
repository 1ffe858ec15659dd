"""A double in this process for all tests, emptied before each one."""

from __future__ import annotations

import json
import pathlib
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import boto3
import pytest
from botocore.config import Config

from shopkeeper_double.lifecycle import clock, settings
from shopkeeper_double.server import create_server

REGION = "eu-west-1"
#: Longer than any test: a transition ends when the test moves the clock on, never by itself.
FOR_EVER = 1e6


class Double:
    """The double's control interface, and clients for the services it plays."""

    def __init__(self, port: int) -> None:
        self._clients: dict[Any, Any] = {}
        self.endpoint = f"http://127.0.0.1:{port}"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def control(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}/_double/{path}", data=data, method=method)
        try:
            with self._opener.open(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def client(self, service: str, attempts: int = 1, region: str = REGION, **config: Any) -> Any:
        key = (service, attempts, region, tuple(sorted(config.items())))
        if key not in self._clients:
            self._clients[key] = boto3.client(
                service,
                endpoint_url=self.endpoint,
                region_name=region,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(
                    retries={"total_max_attempts": attempts, "mode": "standard"},
                    s3={"addressing_style": "path"},
                    inject_host_prefix=False,
                    **config,
                ),
            )
        return self._clients[key]

    def fault(self, **rule: Any) -> str:
        status, answer = self.control("POST", "faults", rule)
        assert status == 200, answer
        return answer["ids"][0]

    def calls(self, **query: Any) -> list[dict[str, Any]]:
        text = "&".join(f"{key}={value}" for key, value in query.items())
        return self.control("GET", f"calls?{text}")[1]["calls"]

    def settle(self) -> None:
        """End every transition under way."""
        clock.advance(2 * FOR_EVER)


@pytest.fixture(scope="session")
def running() -> Iterator[Double]:
    serving = create_server("127.0.0.1", 0)
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    yield Double(serving.port)
    serving.shutdown()
    serving.server_close()


@pytest.fixture
def double(running: Double) -> Double:
    """The double with nothing in it, and no transition that lasts."""
    assert running.control("POST", "reset")[0] == 200
    settings.change(default_seconds=0.0, overrides=dict.fromkeys(settings.overrides))
    return running


@pytest.fixture
def lasting(double: Double) -> None:
    """Transitions last until `double.settle()`."""
    settings.change(default_seconds=FOR_EVER)
