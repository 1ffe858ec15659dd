"""KMS: keys that are disabled or pending deletion, rotation, policies, paging."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def code(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(*args, **kwargs)
    return refused.value.response["Error"]["Code"]


@pytest.fixture
def kms(double: Any) -> Any:
    return double.client("kms")


@pytest.fixture(params=["KeyId", "Arn"])
def key(request: Any, kms: Any) -> str:
    """A key by its id and by its ARN: AWS takes either."""
    return kms.create_key()["KeyMetadata"][request.param]


def state(kms: Any, key: str) -> str:
    return kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]


def test_a_disabled_key_does_nothing(kms, key):
    secret = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key)
    assert state(kms, key) == "Disabled"
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x") == "DisabledException"
    assert code(kms.decrypt, CiphertextBlob=secret) == "DisabledException"
    assert code(kms.generate_data_key, KeyId=key, KeySpec="AES_256") == "DisabledException"
    assert code(kms.enable_key_rotation, KeyId=key) == "DisabledException"
    kms.update_key_description(KeyId=key, Description="may be changed all the same")
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=secret)["Plaintext"] == b"x"


def test_a_key_that_is_to_be_deleted_refuses_changes(kms, key):
    secret = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    answer = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert (answer["KeyState"], answer["PendingWindowInDays"]) == ("PendingDeletion", 7)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["DeletionDate"] == answer["DeletionDate"]
    refused = "KMSInvalidStateException"
    assert code(kms.enable_key, KeyId=key) == refused
    assert code(kms.disable_key, KeyId=key) == refused
    assert code(kms.schedule_key_deletion, KeyId=key) == refused
    assert code(kms.decrypt, CiphertextBlob=secret) == refused
    assert code(kms.tag_resource, KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}]) == refused
    assert code(kms.create_alias, AliasName="alias/a", TargetKeyId=key) == refused
    assert code(kms.get_key_rotation_status, KeyId=key) == refused
    kms.cancel_key_deletion(KeyId=key)
    assert state(kms, key) == "Disabled"
    assert code(kms.cancel_key_deletion, KeyId=key) == refused


@pytest.mark.parametrize("days", [6, 31])
def test_the_waiting_period_has_limits(kms, days):
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert code(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=days) == "ValidationException"
    assert state(kms, key) == "Enabled"


def test_rotation_keeps_its_period(kms, key):
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=180)
    status = kms.get_key_rotation_status(KeyId=key)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 180)
    assert status["NextRotationDate"]
    kms.enable_key_rotation(KeyId=key)  # without a period: the one it has
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 180
    kms.disable_key_rotation(KeyId=key)
    status = kms.get_key_rotation_status(KeyId=key)
    assert status["KeyRotationEnabled"] is False and "RotationPeriodInDays" not in status
    kms.enable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 365
    assert code(kms.enable_key_rotation, KeyId=key, RotationPeriodInDays=2561) == "ValidationException"


def test_only_symmetric_keys_rotate(kms):
    key = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    assert code(kms.enable_key_rotation, KeyId=key) == "UnsupportedOperationException"


@pytest.mark.parametrize(
    "policy",
    [
        "{not json",
        '{"Version":"2012-10-17","Statement":[{"Effect":"Maybe","Principal":"*","Action":"kms:*","Resource":"*"}]}',
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}',
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/nobody"},'
        '"Action":"kms:*","Resource":"*"}]}',
    ],
    ids=["syntax", "effect", "no-principal", "unknown-role"],
)
def test_a_malformed_policy_is_refused(kms, policy):
    assert code(kms.create_key, Policy=policy) == "MalformedPolicyDocumentException"
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    asked = {"KeyId": key, "PolicyName": "default", "Policy": policy}
    assert code(kms.put_key_policy, **asked) == "MalformedPolicyDocumentException"


def test_lists_come_in_pages(kms):
    keys = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(5)}
    first = kms.list_keys(Limit=2)
    assert len(first["Keys"]) == 2 and first["Truncated"] and first["NextMarker"]
    pages = kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2})
    assert {each["KeyId"] for page in pages for each in page["Keys"]} == keys
    assert code(kms.list_keys, Limit=2, Marker="nothing") == "InvalidMarkerException"
    key = keys.pop()
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": name, "TagValue": "v"} for name in "abc"])
    pages = kms.get_paginator("list_resource_tags").paginate(KeyId=key, PaginationConfig={"PageSize": 2})
    assert [tag["TagKey"] for page in pages for tag in page["Tags"]] == ["a", "b", "c"]


def test_tags_replace_each_other(kms, key):
    for value in ("1", "2"):
        kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": value}])
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "a", "TagValue": "2"}]
    assert code(kms.create_key, Tags=[{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]) == "TagException"


def test_a_key_that_is_made_with_nothing_said_encrypts(kms):
    metadata = kms.create_key()["KeyMetadata"]
    assert (metadata["KeyUsage"], metadata["KeySpec"]) == ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT")
    signs = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")["KeyMetadata"]
    assert (signs["KeyUsage"], signs["KeySpec"]) == ("SIGN_VERIFY", "RSA_2048")
