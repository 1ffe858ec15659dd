"""The hook for killing a caller at an exact moment: after its N-th write took effect, and before it hears of it."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from test_core import refused

THREADS = 8

#: A caller that makes queues from many threads at once, so that writes are under way when it is killed.
CALLER = f"""
import sys, boto3
from botocore.config import Config
from concurrent.futures import ThreadPoolExecutor
sqs = boto3.client("sqs", endpoint_url=sys.argv[1], region_name="eu-west-1", aws_access_key_id="test",
                   aws_secret_access_key="test", config=Config(retries={{"total_max_attempts": 1}}, max_pool_connections={THREADS}))
with ThreadPoolExecutor({THREADS}) as threads:
    list(threads.map(lambda n: sqs.create_queue(QueueName=f"q{{n}}"), range(40)))
print("done")
"""


def names(double: Any) -> set[str]:
    return {url.rsplit("/", 1)[1] for url in double.client("sqs").list_queues().get("QueueUrls", [])}


def wait_for(double: Any, rule: str) -> dict[str, Any]:
    answer = double.control("GET", f"faults/applied?id={rule}&seconds=25")[1]
    assert answer["applied"], answer
    return answer


@pytest.fixture
def thread() -> Any:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def test_the_second_write_takes_effect_and_is_not_answered(double: Any, thread: Any) -> None:
    sqs = double.client("sqs")
    rule = double.fault(kind="hold", service="*", write=True, after=1)
    sqs.create_queue(QueueName="a")
    held = thread.submit(sqs.create_queue, QueueName="b")
    call = wait_for(double, rule)["call"]
    assert (call["resources"], call["status"], call["effect"], call["fault"]) == (["b"], None, True, "hold")
    blocked = thread.submit(double.client("sns").create_topic, Name="t")
    assert names(double) == {"a", "b"}, "reads go on"
    assert double.client("sns").list_topics()["Topics"] == []
    assert not held.done() and not blocked.done()
    double.control("POST", "faults/release", {"id": rule})
    assert held.result()["QueueUrl"].endswith("/b")
    assert blocked.result()["TopicArn"].endswith(":t")
    assert [each["status"] for each in double.calls(write="true")] == [200, 200, 200]


def test_released_without_an_answer(double: Any, thread: Any) -> None:
    rule = double.fault(kind="hold", service="sqs", write=True)
    sqs = double.client("sqs")
    held = thread.submit(sqs.create_queue, QueueName="a")
    wait_for(double, rule)
    later = thread.submit(sqs.create_queue, QueueName="b")
    while double.control("GET", "faults")[1]["faults"][0]["held"] < 2:
        pass
    assert double.control("POST", "faults/release", {"id": rule, "answer": False})[1] == {"released": 2}
    for each in (held, later):
        with pytest.raises(ConnectionClosedError):
            each.result()
    assert names(double) == {"a"}, "what waited for its effect never has it"
    assert {(each["effect"], each["status"]) for each in double.calls(write="true")} == {(True, None), (False, None)}


def test_before_the_effect(double: Any, thread: Any) -> None:
    rule = double.fault(kind="hold", service="sqs", write=True, after=1, effect="before")
    sqs = double.client("sqs")
    sqs.create_queue(QueueName="a")
    held = thread.submit(sqs.create_queue, QueueName="b")
    wait_for(double, rule)
    assert names(double) == {"a"}
    double.control("DELETE", f"faults?id={rule}")
    held.result()
    assert names(double) == {"a", "b"}, "removing the rule lets go"


def test_a_refused_write_does_not_count(double: Any, thread: Any) -> None:
    rule = double.fault(kind="hold", service="sqs", write=True)
    sqs = double.client("sqs")
    refused(lambda: sqs.delete_queue(QueueUrl=f"{double.endpoint}/123456789012/absent"))
    double.fault(kind="throttle", service="sqs", operation="CreateQueue", count=1)
    refused(lambda: sqs.create_queue(QueueName="a"))
    held = thread.submit(sqs.create_queue, QueueName="a")
    told = wait_for(double, rule)["call"]
    assert [each["effect"] for each in double.calls(write="true")] == [False, False, True]
    assert told["seq"] == double.calls(write="true")[-1]["seq"]
    double.control("DELETE", "faults")
    held.result()


def test_to_be_told_of_the_nth_write_without_holding_it(double: Any) -> None:
    rule = double.fault(kind="notify", service="sqs", write=True, after=1)
    told: list[Any] = []
    waiting = threading.Thread(target=lambda: told.append(wait_for(double, rule)))
    waiting.start()
    for name in ("a", "b", "c"):
        double.client("sqs").create_queue(QueueName=name)
    waiting.join()
    assert told[0]["call"]["resources"] == ["b"]


@pytest.mark.parametrize("nth", [1, 2, 7, 20])
def test_a_caller_killed_after_its_nth_write(double: Any, nth: int) -> None:
    """However many writes were under way, exactly N took effect.

    A write that has left the caller is not called back by its death, with AWS as little as here: so the caller is killed
    when the double has taken in one from each of its threads.
    """
    rule = double.fault(kind="hold", service="*", write=True, after=nth - 1)
    caller = subprocess.Popen([sys.executable, "-c", CALLER, double.endpoint], stdout=subprocess.PIPE)
    wait_for(double, rule)
    while double.control("GET", "faults")[1]["faults"][0]["held"] < THREADS:
        pass
    caller.kill()
    assert caller.communicate()[0] == b""
    double.control("POST", "faults/release", {"id": rule, "answer": False})
    assert len(names(double)) == nth
    assert len(double.calls(write="true", effect="true")) == nth
