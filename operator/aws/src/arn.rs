//! ARNs that AWS derives from a name, so that no call is needed to know them.

use shopkeeper_plan::facts::partition;

use crate::account::Scope;

/// The ARN of a resource of this account and region: `resource` is all that follows the account, such as `table/orders`.
pub(crate) fn regional(scope: &Scope, service: &str, resource: &str) -> String {
    format!(
        "arn:{}:{service}:{}:{}:{resource}",
        partition(&scope.region),
        scope.region,
        scope.account_id
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_own_prefix() {
        let scope = |region: &str| Scope {
            account_id: "123456789012".into(),
            region: region.into(),
            cluster: "shop".into(),
            owner_tags: Default::default(),
        };
        assert_eq!(
            regional(&scope("eu-west-1"), "sns", "buy"),
            "arn:aws:sns:eu-west-1:123456789012:buy"
        );
        assert_eq!(
            regional(&scope("cn-north-1"), "sns", "buy"),
            "arn:aws-cn:sns:cn-north-1:123456789012:buy"
        );
        assert_eq!(
            regional(&scope("us-gov-west-1"), "sns", "buy"),
            "arn:aws-us-gov:sns:us-gov-west-1:123456789012:buy"
        );
    }
}
