"""S3: the configurations of a bucket, what a new bucket has, and what never deletes one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

BUCKET = "shop-assets"


def code(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(*args, **kwargs)
    return refused.value.response["Error"]["Code"]


def raw(double: Any, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """A signed request as nobody's SDK sends it."""
    request = AWSRequest(method, f"{double.endpoint}{path}", data=body)
    SigV4Auth(Credentials("test", "test"), "s3", "us-east-1").add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    return answer.status_code, answer.content


@pytest.fixture
def s3(double: Any) -> Any:
    client = double.client("s3", region="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    return client


def tiering(name: str = "archive", days: int = 90) -> dict[str, Any]:
    return {
        "Id": name,
        "Status": "Enabled",
        "Filter": {"And": {"Prefix": "old/", "Tags": [{"Key": "a", "Value": "b"}]}},
        "Tierings": [{"Days": days, "AccessTier": "ARCHIVE_ACCESS"}, {"Days": 180, "AccessTier": "DEEP_ARCHIVE_ACCESS"}],
    }


def put_tiering(s3: Any, configuration: dict[str, Any], name: str | None = None) -> Any:
    return s3.put_bucket_intelligent_tiering_configuration(
        Bucket=BUCKET, Id=name or configuration["Id"], IntelligentTieringConfiguration=configuration
    )


def test_intelligent_tiering_is_kept_listed_and_deleted(s3):
    for name in ("archive", "other"):
        put_tiering(s3, tiering(name))
    kept = s3.get_bucket_intelligent_tiering_configuration(Bucket=BUCKET, Id="archive")
    assert kept["IntelligentTieringConfiguration"] == tiering()
    listed = s3.list_bucket_intelligent_tiering_configurations(Bucket=BUCKET)
    assert [each["Id"] for each in listed["IntelligentTieringConfigurationList"]] == ["archive", "other"]
    assert listed["IsTruncated"] is False
    s3.delete_bucket_intelligent_tiering_configuration(Bucket=BUCKET, Id="archive")
    assert code(s3.get_bucket_intelligent_tiering_configuration, Bucket=BUCKET, Id="archive") == "NoSuchConfiguration"
    s3.delete_bucket_intelligent_tiering_configuration(Bucket=BUCKET, Id="archive")
    s3.head_bucket(Bucket=BUCKET)


def test_intelligent_tiering_that_makes_no_sense_is_refused(s3):
    assert code(put_tiering, s3, tiering(days=89)) == "InvalidArgument"
    assert code(put_tiering, s3, tiering(), "another-id") == "InvalidArgument"
    assert code(put_tiering, s3, {**tiering(), "Status": "Perhaps"}) == "MalformedXML"
    twice = [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}, {"Days": 120, "AccessTier": "ARCHIVE_ACCESS"}]
    assert code(put_tiering, s3, {**tiering(), "Tierings": twice}) == "MalformedXML"
    assert s3.list_bucket_intelligent_tiering_configurations(Bucket=BUCKET).get("IntelligentTieringConfigurationList", []) == []
    assert code(s3.list_bucket_intelligent_tiering_configurations, Bucket="no-such-bucket") == "NoSuchBucket"


def test_metrics_analytics_and_inventory_are_kept_and_deleted(s3):
    target = {"S3BucketDestination": {"Bucket": f"arn:aws:s3:::{BUCKET}", "Format": "CSV"}}
    inventory = {
        "Id": "i",
        "IsEnabled": True,
        "IncludedObjectVersions": "Current",
        "Schedule": {"Frequency": "Daily"},
        "Destination": target,
        "OptionalFields": ["Size", "ETag"],
    }
    s3.put_bucket_inventory_configuration(Bucket=BUCKET, Id="i", InventoryConfiguration=inventory)
    assert s3.get_bucket_inventory_configuration(Bucket=BUCKET, Id="i")["InventoryConfiguration"] == inventory
    metrics = {"Id": "m", "Filter": {"Prefix": "a/"}}
    s3.put_bucket_metrics_configuration(Bucket=BUCKET, Id="m", MetricsConfiguration=metrics)
    assert s3.list_bucket_metrics_configurations(Bucket=BUCKET)["MetricsConfigurationList"] == [metrics]
    analytics = {"Id": "a", "StorageClassAnalysis": {}}
    s3.put_bucket_analytics_configuration(Bucket=BUCKET, Id="a", AnalyticsConfiguration=analytics)
    s3.delete_bucket_inventory_configuration(Bucket=BUCKET, Id="i")
    s3.delete_bucket_metrics_configuration(Bucket=BUCKET, Id="m")
    s3.delete_bucket_analytics_configuration(Bucket=BUCKET, Id="a")
    assert code(s3.get_bucket_metrics_configuration, Bucket=BUCKET, Id="m") == "NoSuchConfiguration"
    s3.head_bucket(Bucket=BUCKET)


@pytest.mark.parametrize("sub_resource", ["metadataTable", "metadataConfiguration", "something-new", "intelligent-tiering"])
def test_deleting_a_sub_resource_never_deletes_the_bucket(double, s3, sub_resource):
    status, _ = raw(double, "DELETE", f"/{BUCKET}?{sub_resource}")
    assert status in (400, 501)
    s3.head_bucket(Bucket=BUCKET)


def test_putting_a_sub_resource_never_creates_a_bucket(double, s3):
    status, body = raw(double, "PUT", "/not-there?abac", b"<AbacStatus><Status>Enabled</Status></AbacStatus>")
    assert (status, b"NotImplemented" in body) == (501, True)
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == [BUCKET]


def test_deleting_the_bucket_itself_with_the_name_of_the_operation(double, s3):
    assert raw(double, "DELETE", f"/{BUCKET}?x-id=DeleteBucket")[0] == 204
    assert s3.list_buckets()["Buckets"] == []


def test_a_bucket_with_anything_in_it_stays(s3):
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    assert code(s3.delete_bucket, Bucket=BUCKET) == "BucketNotEmpty"
    s3.delete_object(Bucket=BUCKET, Key="a")
    assert code(s3.delete_bucket, Bucket=BUCKET) == "BucketNotEmpty"
    versions = s3.list_object_versions(Bucket=BUCKET)
    for each in versions["Versions"] + versions["DeleteMarkers"]:
        s3.delete_object(Bucket=BUCKET, Key="a", VersionId=each["VersionId"])
    s3.delete_bucket(Bucket=BUCKET)


def test_a_new_bucket_encrypts_blocks_public_access_and_has_no_acls(s3):
    default = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
    assert s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"] == default
    assert s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")["ServerSideEncryption"] == "AES256"
    assert set(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values()) == {True}
    owner = s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"]
    assert owner == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert code(s3.put_bucket_acl, Bucket=BUCKET, ACL="public-read") == "AccessControlListNotSupported"


def test_encryption_goes_back_to_the_default(s3):
    with_key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/shop"}
    rules = [{"ApplyServerSideEncryptionByDefault": with_key, "BucketKeyEnabled": True}]
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": rules})
    assert s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"] == rules
    assert s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")["ServerSideEncryption"] == "aws:kms"
    wrong = [{"ApplyServerSideEncryptionByDefault": {**with_key, "SSEAlgorithm": "AES256"}}]
    asked = {"Bucket": BUCKET, "ServerSideEncryptionConfiguration": {"Rules": wrong}}
    assert code(s3.put_bucket_encryption, **asked) == "InvalidArgument"
    s3.delete_bucket_encryption(Bucket=BUCKET)
    default = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert default["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def rule(**more: Any) -> dict[str, Any]:
    return {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 365}, **more}


def put_lifecycle(s3: Any, *rules: dict[str, Any]) -> Any:
    return s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": list(rules)})


def test_lifecycle_rules_come_back_as_they_were_put(s3):
    both = {"Prefix": "a/", "Tags": [{"Key": "a", "Value": "b"}], "ObjectSizeGreaterThan": 1024, "ObjectSizeLessThan": 4096}
    rules = [
        rule(
            Transitions=[{"Days": 30, "StorageClass": "STANDARD_IA"}],
            NoncurrentVersionExpiration={"NoncurrentDays": 30, "NewerNoncurrentVersions": 2},
            AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7},
        ),
        rule(ID="both", Filter={"And": both}),
        rule(ID="large", Filter={"ObjectSizeGreaterThan": 500}),
    ]
    put_lifecycle(s3, *rules)
    kept = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)
    assert kept["Rules"] == rules
    assert kept["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    s3.delete_bucket_lifecycle(Bucket=BUCKET)
    assert code(s3.get_bucket_lifecycle_configuration, Bucket=BUCKET) == "NoSuchLifecycleConfiguration"


def test_a_lifecycle_rule_without_a_name_gets_one(s3):
    put_lifecycle(s3, {key: value for key, value in rule().items() if key != "ID"})
    assert s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"][0]["ID"]


@pytest.mark.parametrize(
    ("rules", "refused"),
    [
        ([rule(), rule()], "InvalidArgument"),
        ([rule(Transitions=[{"Days": 29, "StorageClass": "STANDARD_IA"}])], "InvalidArgument"),
        ([rule(Transitions=[{"Days": 365, "StorageClass": "GLACIER"}])], "InvalidArgument"),
        ([rule(Transitions=[{"Days": 30, "StorageClass": "NOPE"}])], "MalformedXML"),
        ([rule(Filter={"Prefix": "a", "ObjectSizeLessThan": 9})], "MalformedXML"),
        ([rule(Filter={"And": {"Prefix": "a"}})], "MalformedXML"),
        ([{"ID": "r", "Status": "Enabled", "Filter": {}}], "InvalidRequest"),
    ],
    ids=["same-id", "too-early", "after-expiration", "no-such-class", "two-predicates", "and-of-one", "no-action"],
)
def test_lifecycle_rules_that_aws_refuses(s3, rules, refused):
    assert code(put_lifecycle, s3, *rules) == refused
    assert code(s3.get_bucket_lifecycle_configuration, Bucket=BUCKET) == "NoSuchLifecycleConfiguration"


def policy(**changes: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
        **changes,
    }
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{key: value for key, value in statement.items() if value is not None}]}
    )


def test_a_policy_comes_back_as_it_was_put(s3):
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy())
    assert json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"]) == json.loads(policy())
    s3.delete_bucket_policy(Bucket=BUCKET)
    assert code(s3.get_bucket_policy, Bucket=BUCKET) == "NoSuchBucketPolicy"


@pytest.mark.parametrize(
    "wrong",
    [
        "{not json",
        policy(Effect="Maybe"),
        policy(Principal=None),
        policy(Action="sqs:SendMessage"),
        policy(Resource="arn:aws:s3:::another-bucket/*"),
        policy(Principal={"AWS": "arn:aws:iam::123456789012:role/nobody"}),
        policy(Colour="blue"),
    ],
    ids=["syntax", "effect", "no-principal", "action", "resource", "principal", "element"],
)
def test_a_policy_that_aws_would_not_take_is_malformed(s3, wrong):
    assert code(s3.put_bucket_policy, Bucket=BUCKET, Policy=wrong) == "MalformedPolicy"
    assert code(s3.get_bucket_policy, Bucket=BUCKET) == "NoSuchBucketPolicy"


def test_a_public_policy_needs_public_access(s3):
    assert code(s3.put_bucket_policy, Bucket=BUCKET, Policy=policy(Principal="*")) == "AccessDenied"
    s3.delete_public_access_block(Bucket=BUCKET)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(Principal="*"))
    assert s3.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"]["IsPublic"] is True


def test_replication_and_request_payment(s3):
    replication = {
        "Role": "arn:aws:iam::123456789012:role/replicator",
        "Rules": [
            {
                "ID": "all",
                "Priority": 1,
                "Status": "Enabled",
                "Filter": {"Prefix": "a/"},
                "DeleteMarkerReplication": {"Status": "Enabled"},
                "Destination": {"Bucket": "arn:aws:s3:::elsewhere", "StorageClass": "STANDARD_IA"},
            }
        ],
    }
    asked = {"Bucket": BUCKET, "ReplicationConfiguration": replication}
    assert code(s3.put_bucket_replication, **asked) == "InvalidRequest"
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_replication(**asked)
    assert s3.get_bucket_replication(Bucket=BUCKET)["ReplicationConfiguration"] == replication
    s3.delete_bucket_replication(Bucket=BUCKET)
    assert code(s3.get_bucket_replication, Bucket=BUCKET) == "ReplicationConfigurationNotFoundError"
    s3.put_bucket_request_payment(Bucket=BUCKET, RequestPaymentConfiguration={"Payer": "Requester"})
    assert s3.get_bucket_request_payment(Bucket=BUCKET)["Payer"] == "Requester"


@pytest.mark.parametrize("name", ["UPPER", "under_score", "dot..dot", "192.168.0.1", "xn--a", "a-s3alias"])
def test_names_that_no_bucket_has(double, name):
    status, body = raw(double, "PUT", f"/{name}")
    assert (status, b"InvalidBucketName" in body) == (400, True)


def test_a_bucket_is_made_with_its_tags(double):
    client = double.client("s3", region="eu-west-1")
    tags = [{"Key": "owner", "Value": "shop"}, {"Key": "empty", "Value": ""}]
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1", "Tags": tags})
    assert client.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == tags


def test_a_bucket_of_another_owner_than_expected_is_refused(s3):
    assert s3.get_bucket_versioning(Bucket=BUCKET, ExpectedBucketOwner="123456789012")
    assert code(s3.get_bucket_versioning, Bucket=BUCKET, ExpectedBucketOwner="999999999999") == "AccessDenied"
    assert code(s3.delete_bucket, Bucket=BUCKET, ExpectedBucketOwner="999999999999") == "AccessDenied"


def test_answers_have_the_outermost_element_that_s3_documents(double, s3):
    for path, root in {
        "?versioning": "VersioningConfiguration",
        "?location": "LocationConstraint",
        "?encryption": "ServerSideEncryptionConfiguration",
        "?publicAccessBlock": "PublicAccessBlockConfiguration",
        "?versions": "ListVersionsResult",
        "?uploads": "ListMultipartUploadsResult",
        "?list-type=2": "ListBucketResult",
    }.items():
        status, body = raw(double, "GET", f"/{BUCKET}{path}")
        assert status == 200
        assert f"<{root}".encode() in body, body
