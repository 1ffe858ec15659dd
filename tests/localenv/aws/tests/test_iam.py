"""IAM: documents, deletes that conflict, OIDC client ids, service-linked roles, quotas."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError


def code(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(*args, **kwargs)
    return refused.value.response["Error"]["Code"]


def trust(**changes: Any) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:AssumeRole"], **changes}
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{key: value for key, value in statement.items() if value is not None}]}
    )


ALLOW = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})


@pytest.fixture
def iam(double: Any) -> Any:
    return double.client("iam")


@pytest.fixture
def role(iam: Any) -> str:
    return iam.create_role(RoleName="shop", AssumeRolePolicyDocument=trust(), Description="d")["Role"]["RoleName"]


@pytest.mark.parametrize(
    "document",
    [
        "{not json",
        trust(Effect="Maybe"),
        trust(Principal=None),
        trust(Action=["s3:GetObject"]),
        trust(Resource="*"),
        trust(Principal={"AWS": "arn:aws:iam::123456789012:role/nobody"}),
        trust(Principal={"Nobody": "x"}),
    ],
    ids=["syntax", "effect", "no-principal", "action", "resource", "unknown-role", "sort-of-principal"],
)
def test_a_malformed_trust_policy_is_refused(iam, role, document):
    assert code(iam.create_role, RoleName="bad", AssumeRolePolicyDocument=document) == "MalformedPolicyDocument"
    assert code(iam.update_assume_role_policy, RoleName=role, PolicyDocument=document) == "MalformedPolicyDocument"
    assert code(iam.get_role, RoleName="bad") == "NoSuchEntity"


@pytest.mark.parametrize(
    "principal",
    [
        {"Service": ["rds.amazonaws.com", "eks.amazonaws.com"]},
        {"AWS": "arn:aws:iam::123456789012:root"},
        {"AWS": "arn:aws:iam::210987654321:role/of-another-account"},
        {"AWS": "arn:aws:iam::123456789012:role/shop"},
        {"Federated": "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/A"},
    ],
    ids=["services", "account", "other-account", "existing-role", "oidc"],
)
def test_principals_that_may_be_trusted(iam, role, principal):
    iam.create_role(RoleName="other", AssumeRolePolicyDocument=trust(Principal=principal))


def test_a_role_with_policies_is_not_deleted(iam, role):
    arn = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW)["Policy"]["Arn"]
    for _ in range(2):  # attaching again changes nothing
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    iam.put_role_policy(RoleName=role, PolicyName="inline", PolicyDocument=ALLOW)
    assert code(iam.delete_role, RoleName=role) == "DeleteConflict"
    iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    assert code(iam.delete_role, RoleName=role) == "DeleteConflict"
    iam.delete_role_policy(RoleName=role, PolicyName="inline")
    iam.delete_role(RoleName=role)
    iam.delete_policy(PolicyArn=arn)


def test_a_policy_in_use_or_with_versions_is_not_deleted(iam, role):
    arn = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    assert code(iam.delete_policy, PolicyArn=arn) == "DeleteConflict"
    iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW, SetAsDefault=True)
    assert code(iam.delete_policy, PolicyArn=arn) == "DeleteConflict"
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy(PolicyArn=arn)
    managed = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"
    assert code(iam.delete_policy, PolicyArn=managed) == "AccessDenied"


def test_an_update_leaves_alone_what_it_does_not_name(iam, role):
    iam.update_role(RoleName=role, MaxSessionDuration=7200)
    shown = iam.get_role(RoleName=role)["Role"]
    assert (shown["Description"], shown["MaxSessionDuration"]) == ("d", 7200)
    iam.update_role(RoleName=role, Description="e")
    shown = iam.get_role(RoleName=role)["Role"]
    assert (shown["Description"], shown["MaxSessionDuration"]) == ("e", 7200)
    assert code(iam.update_role, RoleName=role, MaxSessionDuration=50000) == "ValidationError"


def test_client_ids_of_an_oidc_provider(iam):
    arn = iam.create_open_id_connect_provider(Url="https://oidc.test/id/A", ClientIDList=["sts.amazonaws.com"])[
        "OpenIDConnectProviderArn"
    ]

    def clients():
        return iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ClientIDList"]

    for _ in range(2):
        iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="x")
    assert clients() == ["sts.amazonaws.com", "x"]
    for _ in range(2):
        iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="x")
    assert clients() == ["sts.amazonaws.com"]
    absent = f"{arn}B"
    assert code(iam.add_client_id_to_open_id_connect_provider, OpenIDConnectProviderArn=absent, ClientID="x") == "NoSuchEntity"
    assert code(iam.create_open_id_connect_provider, Url="http://oidc.test/id/A") == "ValidationError"


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("elasticache", "AWSServiceRoleForElastiCache"),
        ("rds", "AWSServiceRoleForRDS"),
        ("eks-nodegroup", "AWSServiceRoleForAmazonEKSNodegroup"),
        ("opensearchservice", "AWSServiceRoleForAmazonOpenSearchService"),
        ("dynamodb.application-autoscaling", "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable"),
    ],
)
def test_service_linked_roles(iam, service, name):
    domain = f"{service}.amazonaws.com"
    role = iam.create_service_linked_role(AWSServiceName=domain)["Role"]
    assert role["Arn"] == f"arn:aws:iam::123456789012:role/aws-service-role/{domain}/{name}"
    assert code(iam.create_service_linked_role, AWSServiceName=domain) == "InvalidInput"
    assert code(iam.delete_role, RoleName=name) == "UnmodifiableEntity"
    assert code(iam.put_role_policy, RoleName=name, PolicyName="p", PolicyDocument=ALLOW) == "UnmodifiableEntity"
    iam.delete_service_linked_role(RoleName=name)
    assert code(iam.get_role, RoleName=name) == "NoSuchEntity"


def test_quotas(iam, role):
    for number in range(11):
        arn = iam.create_policy(PolicyName=f"p{number}", PolicyDocument=ALLOW)["Policy"]["Arn"]
        if number < 10:
            iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    assert code(iam.attach_role_policy, RoleName=role, PolicyArn=arn) == "LimitExceeded"
    long = [f"arn:aws:s3:::{number:060}" for number in range(200)]
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": long}]})
    assert code(iam.create_policy, PolicyName="long", PolicyDocument=document) == "LimitExceeded"
    assert code(iam.put_role_policy, RoleName=role, PolicyName="long", PolicyDocument=document) == "LimitExceeded"
