"""Secrets Manager: scheduled deletion, managed secrets, names and policies."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def refused(call: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        call(*args, **kwargs)
    return error.value.response


def code(call: Any, *args: Any, **kwargs: Any) -> str:
    return refused(call, *args, **kwargs)["Error"]["Code"]


@pytest.fixture
def secrets(double: Any) -> Any:
    client = double.client("secretsmanager")
    client.create_secret(Name="shop/db", SecretString="1")
    return client


def test_a_secret_that_is_to_be_deleted(secrets):
    secrets.delete_secret(SecretId="shop/db", RecoveryWindowInDays=7)
    assert secrets.describe_secret(SecretId="shop/db")["DeletedDate"]
    invalid = "InvalidRequestException"
    again = refused(secrets.create_secret, Name="shop/db", SecretString="2")
    assert again["Error"]["Code"] == invalid and "scheduled for deletion" in again["Error"]["Message"]
    assert code(secrets.get_secret_value, SecretId="shop/db") == invalid
    assert code(secrets.put_secret_value, SecretId="shop/db", SecretString="2") == invalid
    assert code(secrets.update_secret, SecretId="shop/db", Description="d") == invalid
    assert code(secrets.tag_resource, SecretId="shop/db", Tags=[{"Key": "a", "Value": "b"}]) == invalid
    assert code(secrets.delete_secret, SecretId="shop/db", RecoveryWindowInDays=7) == invalid
    secrets.restore_secret(SecretId="shop/db")
    assert secrets.get_secret_value(SecretId="shop/db")["SecretString"] == "1"


def test_the_name_is_free_once_the_secret_is_gone(secrets):
    secrets.delete_secret(SecretId="shop/db", RecoveryWindowInDays=7)
    secrets.delete_secret(SecretId="shop/db", ForceDeleteWithoutRecovery=True)
    assert code(secrets.describe_secret, SecretId="shop/db") == "ResourceNotFoundException"
    secrets.create_secret(Name="shop/db", SecretString="2")


def test_the_recovery_window_has_limits(secrets):
    for days in (6, 31):
        assert code(secrets.delete_secret, SecretId="shop/db", RecoveryWindowInDays=days) == "InvalidParameterException"
    assert "DeletedDate" not in secrets.describe_secret(SecretId="shop/db")


def test_what_is_not_there_is_a_400(secrets):
    answer = refused(secrets.get_secret_value, SecretId="none")
    assert answer["Error"]["Code"] == "ResourceNotFoundException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_secret_that_another_service_keeps_is_not_deleted(secrets):
    from moto.secretsmanager.models import secretsmanager_backends

    backend = secretsmanager_backends["123456789012"]["eu-west-1"]
    backend.create_managed_secret("rds", "rds!cluster-1", secret_string="{}")
    assert code(secrets.delete_secret, SecretId="rds!cluster-1") == "InvalidRequestException"
    assert secrets.describe_secret(SecretId="rds!cluster-1")["OwningService"] == "rds"


def test_resource_policies_are_read(secrets):
    assert code(secrets.put_resource_policy, SecretId="shop/db", ResourcePolicy="{no") == "MalformedPolicyDocumentException"
    broad = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"secretsmanager:GetSecretValue",'
        '"Resource":"*"}]}'
    )
    asked = {"SecretId": "shop/db", "ResourcePolicy": broad}
    assert code(secrets.put_resource_policy, **asked, BlockPublicPolicy=True) == "PublicPolicyException"
    secrets.put_resource_policy(**asked)
    assert secrets.get_resource_policy(SecretId="shop/db")["ResourcePolicy"] == broad
    secrets.delete_resource_policy(SecretId="shop/db")
    assert "ResourcePolicy" not in secrets.get_resource_policy(SecretId="shop/db")
    secrets.delete_secret(SecretId="shop/db", RecoveryWindowInDays=7)
    assert code(secrets.get_resource_policy, SecretId="shop/db") == "InvalidRequestException"


def test_names(secrets):
    assert code(secrets.create_secret, Name="with space", SecretString="1") == "ValidationException"
    secrets.create_secret(Name="a/b_c+d=e.f@g-h", SecretString="1")
