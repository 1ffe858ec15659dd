"""What each service calls the errors that every call may meet: code and HTTP status.

From each service's reference and botocore's models, which a test holds these tables against.
"""

from __future__ import annotations

#: (code, status) of a throttled call, where it differs from what the protocol has in common.
THROTTLED = {
    "ec2": ("RequestLimitExceeded", 503),
    "s3": ("SlowDown", 503),
    "sqs": ("RequestThrottled", 400),
    "eks": ("ThrottlingException", 429),
    "route53": ("Throttling", 400),
    "cloudfront": ("Throttling", 400),
    "service-quotas": ("TooManyRequestsException", 400),
    "iam": ("Throttling", 400),
    "rds": ("Throttling", 400),
    "elasticache": ("Throttling", 400),
    "sns": ("Throttling", 400),
}
DENIED = {
    "ec2": ("UnauthorizedOperation", 403),
    "s3": ("AccessDenied", 403),
    "sns": ("AuthorizationError", 403),
}
EXPIRED = {
    "ec2": ("RequestExpired", 400),
    "s3": ("ExpiredToken", 400),
}
#: Server faults by (service, status); the others say InternalFailure and ServiceUnavailable.
SERVER_FAULT = {
    ("s3", 500): "InternalError",
    ("s3", 503): "ServiceUnavailable",
    ("ec2", 500): "InternalError",
    ("ec2", 503): "Unavailable",
    ("dynamodb", 500): "InternalServerError",
    ("eks", 500): "ServerException",
    ("eks", 503): "ServiceUnavailableException",
    ("kms", 500): "KMSInternalException",
    ("iam", 500): "ServiceFailure",
    ("secretsmanager", 500): "InternalServiceError",
    ("sns", 500): "InternalError",
    ("application-autoscaling", 500): "InternalServiceException",
    ("service-quotas", 500): "ServiceException",
}
#: What a reached quota is called: by (service, operation), or by (service, None).
QUOTA = {
    ("eks", None): ("ResourceLimitExceededException", 400),
    ("rds", "CreateDBInstance"): ("InstanceQuotaExceeded", 400),
    ("rds", "CreateDBInstanceReadReplica"): ("InstanceQuotaExceeded", 400),
    ("rds", "CreateDBCluster"): ("DBClusterQuotaExceededFault", 403),
    ("rds", "CreateDBSubnetGroup"): ("DBSubnetGroupQuotaExceeded", 400),
    ("rds", "ModifyDBSubnetGroup"): ("DBSubnetQuotaExceededFault", 400),
    ("rds", "CreateDBParameterGroup"): ("DBParameterGroupQuotaExceeded", 400),
    ("rds", "CreateDBClusterParameterGroup"): ("DBParameterGroupQuotaExceeded", 400),
    ("rds", "CreateDBSnapshot"): ("SnapshotQuotaExceeded", 400),
    ("rds", "CreateDBClusterSnapshot"): ("SnapshotQuotaExceeded", 400),
    ("rds", "DeleteDBInstance"): ("SnapshotQuotaExceeded", 400),
    ("rds", None): ("StorageQuotaExceeded", 400),
    ("elasticache", "CreateReplicationGroup"): ("ClusterQuotaForCustomerExceeded", 400),
    ("elasticache", "CreateCacheSubnetGroup"): ("CacheSubnetGroupQuotaExceeded", 400),
    ("elasticache", "ModifyCacheSubnetGroup"): ("CacheSubnetQuotaExceededFault", 400),
    ("elasticache", "CreateCacheParameterGroup"): ("CacheParameterGroupQuotaExceeded", 400),
    ("elasticache", "CreateUser"): ("UserQuotaExceeded", 400),
    ("elasticache", "CreateUserGroup"): ("UserGroupQuotaExceeded", 400),
    ("elasticache", "AddTagsToResource"): ("TagQuotaPerResourceExceeded", 400),
    ("elasticache", None): ("NodeQuotaForCustomerExceeded", 400),
    ("s3", None): ("TooManyBuckets", 400),
    ("sns", "Subscribe"): ("SubscriptionLimitExceeded", 403),
    ("sns", "TagResource"): ("TagLimitExceeded", 400),
    ("sns", None): ("TopicLimitExceeded", 403),
    ("sqs", None): ("OverLimit", 403),
    ("iam", None): ("LimitExceeded", 409),
    ("service-quotas", None): ("QuotaExceededException", 400),
    ("ec2", "CreateVpc"): ("VpcLimitExceeded", 400),
    ("ec2", "CreateSubnet"): ("SubnetLimitExceeded", 400),
    ("ec2", "CreateSecurityGroup"): ("SecurityGroupLimitExceeded", 400),
    ("ec2", "AllocateAddress"): ("AddressLimitExceeded", 400),
    ("ec2", "CreateNatGateway"): ("NatGatewayLimitExceeded", 400),
    ("ec2", None): ("ResourceLimitExceeded", 400),
}
