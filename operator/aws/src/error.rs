//! From AWS's errors to the classes that decide a retry.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::{display::DisplayErrorContext, metadata::ProvideErrorMetadata};
use shopkeeper_plan::{
    budget::SPENT,
    failure::{Class, Failure, is_quota},
};

use crate::{
    budget::Spent,
    tenure::{OVER, TenureIsOver},
};

/// The error of a call.
pub type CallError<E> = SdkError<E, HttpResponse>;

/// As much of an error's document as has its code.
const LONGEST_ERROR: usize = 4096;

/// What to do about a quota whose code does not say more.
const RAISE_THE_QUOTA: &str = "raise the quota, or remove what is not used";

/// What to do about a refusal: AWS allows what the role's own policy allows and nothing else forbids.
pub(crate) const ALLOW_IT: &str = "add the action to the operator's IAM policy; if it is there, see that neither the policy of the key, \
     bucket, queue or topic, nor that of a VPC endpoint, nor an SCP of the organisation forbids it";

/// The class of an AWS error code, with a remedy where a person has to act.
///
/// Codes that are not listed are decided by HTTP status: 5xx and 429 pass, anything else is Invalid, which is looked at
/// again slowly, since the cause may lie outside (a quota, a zone without capacity).
const CODES: &[(&str, Class, &str)] = &[
    // Throttling, by the names that the services use for it.
    ("Throttling", Class::Throttled, ""),
    ("ThrottlingException", Class::Throttled, ""),
    ("ThrottledException", Class::Throttled, ""),
    ("KmsThrottled", Class::Throttled, ""),
    ("KMSThrottling", Class::Throttled, ""),
    ("Throttled", Class::Throttled, ""),
    ("RequestThrottled", Class::Throttled, ""),
    ("RequestLimitExceeded", Class::Throttled, ""),
    ("TooManyRequestsException", Class::Throttled, ""),
    ("SlowDown", Class::Throttled, ""),
    ("APICallRateForCustomerExceeded", Class::Throttled, ""),
    (
        "ProvisionedThroughputExceededException",
        Class::Throttled,
        "",
    ),
    // Permission.
    ("AccessDenied", Class::Denied, ALLOW_IT),
    ("AccessDeniedException", Class::Denied, ALLOW_IT),
    ("UnauthorizedOperation", Class::Denied, ALLOW_IT),
    ("AuthorizationError", Class::Denied, ALLOW_IT),
    ("NotAuthorized", Class::Denied, ALLOW_IT),
    (
        "InvalidClientTokenId",
        Class::Denied,
        "give the operator valid AWS credentials",
    ),
    (
        "UnrecognizedClientException",
        Class::Denied,
        "give the operator valid AWS credentials",
    ),
    (
        "SignatureDoesNotMatch",
        Class::Denied,
        "give the operator valid AWS credentials",
    ),
    ("ExpiredToken", Class::Transient, ""),
    ("RequestExpired", Class::Transient, ""),
    ("ExpiredTokenException", Class::Transient, ""),
    // The role that Application Auto Scaling makes for itself is kept from the alarms.
    (
        "FailedResourceAccessException",
        Class::Denied,
        "let the service-linked role of Application Auto Scaling reach CloudWatch's alarms",
    ),
    (
        "OptInRequired",
        Class::Denied,
        "enable the service for the account",
    ),
    // Busy with another change, or made meanwhile.
    ("ResourceInUseException", Class::Conflict, ""),
    ("ResourceInUse", Class::Conflict, ""),
    ("ConflictException", Class::Conflict, ""),
    ("OperationAborted", Class::Conflict, ""),
    ("ConcurrentModification", Class::Conflict, ""),
    ("ConcurrentModificationException", Class::Conflict, ""),
    ("ConcurrentUpdateException", Class::Conflict, ""),
    ("DeleteConflict", Class::Conflict, ""),
    ("EntityAlreadyExists", Class::Conflict, ""),
    ("AlreadyExistsException", Class::Conflict, ""),
    ("DBInstanceAlreadyExists", Class::Conflict, ""),
    ("DBSubnetGroupAlreadyExists", Class::Conflict, ""),
    ("DBParameterGroupAlreadyExists", Class::Conflict, ""),
    ("DBSnapshotAlreadyExists", Class::Conflict, ""),
    ("ReplicationGroupAlreadyExists", Class::Conflict, ""),
    ("CacheSubnetGroupAlreadyExists", Class::Conflict, ""),
    ("CacheParameterGroupAlreadyExists", Class::Conflict, ""),
    ("UserAlreadyExists", Class::Conflict, ""),
    ("UserGroupAlreadyExists", Class::Conflict, ""),
    ("ResourceExistsException", Class::Conflict, ""),
    ("BucketAlreadyOwnedByYou", Class::Conflict, ""),
    ("ConcurrentAccess", Class::Conflict, ""),
    ("BackupInUseException", Class::Conflict, ""),
    ("TableInUseException", Class::Conflict, ""),
    ("QueueNameExists", Class::Conflict, ""),
    ("QueueAlreadyExists", Class::Conflict, ""),
    // Not in a state that takes the call.
    ("InvalidDBInstanceState", Class::NotReady, ""),
    ("InvalidDBSubnetGroupStateFault", Class::NotReady, ""),
    ("InvalidDBParameterGroupState", Class::NotReady, ""),
    ("InvalidReplicationGroupState", Class::NotReady, ""),
    ("InvalidCacheClusterState", Class::NotReady, ""),
    ("CacheSubnetGroupInUse", Class::NotReady, ""),
    ("InvalidCacheParameterGroupState", Class::NotReady, ""),
    ("InvalidUserState", Class::NotReady, ""),
    ("InvalidUserGroupState", Class::NotReady, ""),
    ("DefaultUserAssociatedToUserGroup", Class::NotReady, ""),
    // A user or user group that another call has just made.
    ("UserNotFound", Class::NotReady, ""),
    ("UserGroupNotFound", Class::NotReady, ""),
    ("DependencyViolation", Class::NotReady, ""),
    // A target of Application Auto Scaling that went meanwhile: the next pass sees what is there.
    ("ObjectNotFoundException", Class::NotReady, ""),
    ("KMSInvalidStateException", Class::NotReady, ""),
    ("BucketNotEmpty", Class::NotReady, ""),
    // DynamoDB takes a while to switch point-in-time recovery on.
    ("ContinuousBackupsUnavailableException", Class::NotReady, ""),
    // A deleted queue's name is free again after 60 seconds.
    ("QueueDeletedRecently", Class::NotReady, ""),
    (
        "AWS.SimpleQueueService.QueueDeletedRecently",
        Class::NotReady,
        "",
    ),
    // Quotas. What DynamoDB says by the first of them is told apart there.
    ("LimitExceededException", Class::Invalid, RAISE_THE_QUOTA),
    (
        "ResourceLimitExceededException",
        Class::Invalid,
        RAISE_THE_QUOTA,
    ),
    (
        "InstanceQuotaExceeded",
        Class::Invalid,
        "raise the RDS quota for instances, or remove what is not used",
    ),
    (
        "StorageQuotaExceeded",
        Class::Invalid,
        "raise the RDS quota for storage, or remove what is not used",
    ),
    (
        "NodeQuotaForCustomerExceeded",
        Class::Invalid,
        "raise the ElastiCache quota for nodes, or remove what is not used",
    ),
    (
        "UserQuotaExceeded",
        Class::Invalid,
        "raise the ElastiCache quota for users, or remove what is not used",
    ),
    (
        "UserGroupQuotaExceeded",
        Class::Invalid,
        "raise the ElastiCache quota for user groups, or remove what is not used",
    ),
    (
        "TooManyBuckets",
        Class::Invalid,
        "raise the S3 quota for buckets, or remove what is not used",
    ),
    ("LimitExceeded", Class::Invalid, RAISE_THE_QUOTA),
    (
        "InsufficientDBInstanceCapacity",
        Class::NotReady,
        "choose another instance class, or wait for capacity",
    ),
    (
        "InsufficientCacheClusterCapacity",
        Class::NotReady,
        "choose another node type, or wait for capacity",
    ),
    (
        "BucketAlreadyExists",
        Class::Invalid,
        "the name is taken by another account: choose another name",
    ),
    // Servers.
    ("InternalFailure", Class::Transient, ""),
    ("InternalError", Class::Transient, ""),
    ("InternalServerError", Class::Transient, ""),
    ("InternalServiceException", Class::Transient, ""),
    ("ServerException", Class::Transient, ""),
    ("ServiceFailure", Class::Transient, ""),
    ("ServiceUnavailable", Class::Transient, ""),
    ("ServiceUnavailableException", Class::Transient, ""),
    ("RequestTimeout", Class::Transient, ""),
    ("KMSInternalException", Class::Transient, ""),
    ("DependencyTimeoutException", Class::Transient, ""),
    ("InternalServiceError", Class::Transient, ""),
];

/// Classifies the error of a call. `operation` is AWS's name of it, for the message.
pub fn classify<E>(operation: &str, error: &CallError<E>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    let SdkError::ServiceError(service_error) = error else {
        return without_answer(operation, error);
    };
    let service_error = service_error.err();
    let code = service_error.code().unwrap_or("Unknown");
    let message = steady(service_error.message().unwrap_or("no message"));
    let (class, remedy) = of_code(code, status);
    Failure {
        class,
        code: Some(code.to_owned()),
        message: format!("{operation}: {message}"),
        remedy: remedy.to_owned(),
        retry_after: None,
    }
}

fn of_code(code: &str, status: Option<u16>) -> (Class, &'static str) {
    // Query services append `Fault` to some codes and not to others.
    let known = CODES
        .iter()
        .find(|(known, ..)| *known == code || code.strip_suffix("Fault") == Some(*known));
    match (known, status) {
        (Some((_, class, remedy)), _) => (*class, remedy),
        (None, Some(429)) => (Class::Throttled, ""),
        (None, Some(500..)) => (Class::Transient, ""),
        // SNS answers them with 403, which is no matter of permissions.
        (None, _) if is_quota(code) => (Class::Invalid, RAISE_THE_QUOTA),
        (None, Some(403)) => (Class::Denied, ALLOW_IT),
        (None, _) => (Class::Invalid, ""),
    }
}

fn without_answer<E>(operation: &str, error: &CallError<E>) -> Failure
where
    E: std::error::Error + 'static,
{
    if caused_by::<TenureIsOver>(error).is_some() {
        // This process ends in a moment, and whoever leads looks for itself.
        return Failure::new(Class::Conflict, format!("{operation}: {TenureIsOver}"))
            .with_code(OVER);
    }
    if let Some(spent) = caused_by::<Spent>(error) {
        return Failure::new(Class::Throttled, format!("{operation}: {spent}"))
            .with_code(SPENT)
            .with_retry_after(spent.retry_after);
    }
    if let Some(error) = caused_by::<CredentialsError>(error) {
        return without_credentials(operation, error);
    }
    match error {
        // A value that the SDK refuses to send.
        SdkError::ConstructionFailure(_) => Failure::new(
            Class::Bug,
            format!(
                "{operation}: the request could not be made: {}",
                DisplayErrorContext(error)
            ),
        ),
        SdkError::TimeoutError(_) => {
            Failure::new(Class::Transient, format!("{operation}: no answer in time"))
        }
        SdkError::DispatchFailure(_) => Failure::new(
            Class::Transient,
            format!("{operation}: AWS could not be reached"),
        ),
        // A truncated or garbled body: the call may have taken effect.
        _ => Failure::new(
            Class::Transient,
            format!("{operation}: the answer could not be read"),
        ),
    }
}

/// A call that could not be signed. The SDK asks for credentials while it sends, so that it looks as if AWS had not been reached.
fn without_credentials(operation: &str, error: &CredentialsError) -> Failure {
    // Without the fields that `DisplayErrorContext` adds: among them are request ids.
    let told: Vec<String> = std::iter::successors(
        Some(error as &(dyn Error + 'static)),
        |error: &&(dyn Error + 'static)| (*error).source(),
    )
    .map(|error| steady(&error.to_string()))
    .collect();
    match error {
        CredentialsError::ProviderTimedOut(_) => Failure::new(
            Class::Transient,
            format!("{operation}: no credentials in time"),
        ),
        _ => Failure::new(
            Class::Denied,
            format!("{operation}: no credentials: {}", told.join(": ")),
        )
        .with_remedy(
            "give the operator's ServiceAccount a role by a Pod Identity association, and see that the role lets pods have it; pods \
             that run already have to be replaced",
        ),
    }
}

/// Why the call was not made, where it is this.
fn caused_by<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        (*error).source()
    })
    .find_map(|error| error.downcast_ref::<T>())
}

/// Whether an answer asks for fewer calls, where its error is not at hand as one of an operation.
pub(crate) fn is_throttling(response: &HttpResponse) -> bool {
    let status = response.status().as_u16();
    if status < 400 {
        return false;
    }
    let header = response.headers().get("x-amzn-errortype");
    let body = response.body().bytes().unwrap_or_default();
    let text = String::from_utf8_lossy(
        body.get(..LONGEST_ERROR.min(body.len()))
            .unwrap_or_default(),
    );
    status == 429
        || [header.unwrap_or_default(), &text]
            .iter()
            .flat_map(|text| text.split(|character: char| !character.is_ascii_alphanumeric()))
            .any(|word| of_code(word, None).0 == Class::Throttled)
}

/// A message without what changes from try to try (request ids), which would make every try a status write.
fn steady(message: &str) -> String {
    let end = ["(Request ID", "(RequestId", "; Request ID", " Request ID:"]
        .iter()
        .filter_map(|mark| message.find(mark))
        .min();
    message[..end.unwrap_or(message.len())]
        .trim_end()
        .to_owned()
}

/// Whether nobody knows what became of a call: it may have been carried out.
pub(crate) fn is_unanswered<E>(error: &CallError<E>) -> bool {
    !matches!(
        error,
        SdkError::ServiceError(_) | SdkError::ConstructionFailure(_)
    )
}

/// Whether AWS says that the resource does not exist, by one of these codes.
pub fn is_code<E>(error: &CallError<E>, codes: &[&str]) -> bool
where
    E: ProvideErrorMetadata,
{
    error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
        .is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::{ProvideCredentials, future};

    use super::*;

    #[test]
    fn codes_with_and_without_fault_are_the_same() {
        assert_eq!(
            of_code("DBInstanceAlreadyExistsFault", Some(400)).0,
            Class::Conflict
        );
        assert_eq!(
            of_code("DBInstanceAlreadyExists", Some(400)).0,
            Class::Conflict
        );
    }

    #[test]
    fn a_quota_is_no_missing_permission() {
        for code in [
            "TopicLimitExceeded",
            "SubscriptionLimitExceeded",
            "FilterPolicyLimitExceeded",
            "OverLimit",
            "ParameterGroupQuotaExceeded",
            "LimitExceededException",
            "LimitExceeded",
        ] {
            let (class, remedy) = of_code(code, Some(403));
            assert_eq!(class, Class::Invalid, "{code}");
            assert!(remedy.contains("quota"), "{code}");
        }
        assert_eq!(
            of_code("RequestLimitExceeded", Some(503)).0,
            Class::Throttled
        );
        assert_eq!(
            of_code("BandwidthLimitExceeded", Some(503)).0,
            Class::Transient
        );
    }

    #[test]
    fn unknown_codes_go_by_status() {
        assert_eq!(of_code("Odd", Some(503)).0, Class::Transient);
        assert_eq!(of_code("Odd", Some(429)).0, Class::Throttled);
        assert_eq!(of_code("Odd", Some(400)).0, Class::Invalid);
    }

    #[tokio::test]
    async fn credentials_that_are_missing_are_told_as_that() {
        #[derive(Debug)]
        struct Refused;
        impl ProvideCredentials for Refused {
            fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
            where
                Self: 'a,
            {
                let refusal = CredentialsError::provider_error("the role trusts somebody else");
                future::ProvideCredentials::ready(Err(refusal))
            }
        }
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new("eu-west-1"))
            .credentials_provider(Refused)
            .build();
        let call = aws_sdk_sts::Client::from_conf(config).get_caller_identity();
        let failure = classify("GetCallerIdentity", &call.send().await.unwrap_err());
        assert_eq!(failure.class, Class::Denied, "{failure:?}");
        assert!(
            failure.message.contains("no credentials")
                && failure.message.contains("the role trusts somebody else")
                && failure.remedy.contains("association"),
            "{failure:?}"
        );
    }

    #[test]
    fn request_ids_are_cut_off() {
        assert_eq!(steady("No such role. (Request ID: 1f2e)"), "No such role.");
    }

    #[test]
    fn no_code_is_listed_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for (code, ..) in CODES {
            assert!(seen.insert(code), "{code}");
        }
    }
}
