//! The policy that SNS gives a new topic: everybody in the account may use it, and nobody else.

use serde_json::{Value, json};

/// What SNS lets the account do. Older topics have `SNS:Receive` as well.
const ACTIONS: [&str; 8] = [
    "SNS:GetTopicAttributes",
    "SNS:SetTopicAttributes",
    "SNS:AddPermission",
    "SNS:RemovePermission",
    "SNS:DeleteTopic",
    "SNS:Subscribe",
    "SNS:ListSubscriptionsByTopic",
    "SNS:Publish",
];
const OLDER_ACTION: &str = "SNS:Receive";

/// The policy of a topic with this ARN, which names the account. `None` for what is no ARN.
pub(super) fn of(topic_arn: &str) -> Option<Value> {
    let account = topic_arn.split(':').nth(4)?;
    Some(json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": ACTIONS,
            "Resource": topic_arn,
            "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
        }],
    }))
}

/// Whether it is this policy, or says the same in other words: one statement that lets in the account alone, and to do no more than that.
pub(super) fn is_default(policy: &Value, topic_arn: &str, account: &str) -> bool {
    let statement = match &policy["Statement"] {
        Value::Array(statements) => match statements.as_slice() {
            [one] => one,
            _ => return false,
        },
        one => one,
    };
    let Some(parts) = statement.as_object() else {
        return false;
    };
    // Each part is known: one that is not may turn the meaning around (`NotAction`, say).
    parts.iter().all(|(part, value)| match part.as_str() {
        "Sid" => true,
        "Effect" => value == "Allow",
        "Principal" => *value == json!({"AWS": "*"}) || value == "*",
        "Action" => texts(value).all(is_default_action),
        "Resource" => value == topic_arn,
        "Condition" => is_of_account(value, account),
        _ => false,
    }) && ["Effect", "Principal", "Action", "Resource", "Condition"]
        .iter()
        .all(|part| parts.contains_key(*part))
}

fn texts(value: &Value) -> impl Iterator<Item = Option<&str>> {
    match value {
        Value::Array(list) => list.iter(),
        one => std::slice::from_ref(one).iter(),
    }
    .map(Value::as_str)
}

fn is_default_action(action: Option<&str>) -> bool {
    action.is_some_and(|action| {
        ACTIONS
            .iter()
            .chain([&OLDER_ACTION])
            .any(|known| known.eq_ignore_ascii_case(action))
    })
}

/// Keys of conditions have no case.
fn is_of_account(condition: &Value, account: &str) -> bool {
    let keys = condition
        .as_object()
        .filter(|operators| operators.len() == 1)
        .and_then(|operators| operators.get("StringEquals")?.as_object());
    keys.is_some_and(|keys| {
        !keys.is_empty()
            && keys.iter().all(|(key, value)| {
                ["aws:SourceOwner", "aws:SourceAccount"]
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(key))
                    && value == account
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "123456789012";
    const ARN: &str = "arn:aws:sns:eu-west-1:123456789012:buy";

    fn default_with(part: &str, value: Value) -> Value {
        let mut policy = of(ARN).unwrap_or_default();
        policy["Statement"][0][part] = value;
        policy
    }

    #[test]
    fn what_sns_makes_itself_is_known_in_each_of_its_forms() {
        for policy in [
            default_with("Sid", json!("any")),
            default_with("Principal", json!("*")),
            default_with("Action", json!(["SNS:Publish", "SNS:Receive"])),
            default_with(
                "Condition",
                json!({"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
            ),
        ] {
            assert!(is_default(&policy, ARN, ACCOUNT), "{policy}");
        }
    }

    #[test]
    fn what_lets_in_anybody_else_is_not_taken_for_it() {
        let others = json!({"StringEquals": {"AWS:SourceOwner": "999988887777"}});
        let mut second = of(ARN).unwrap_or_default();
        let statement = second["Statement"][0].clone();
        second["Statement"] = json!([statement, {"Effect": "Allow", "Principal": "*", "Action": "SNS:Subscribe", "Resource": ARN}]);
        let mut open = of(ARN).unwrap_or_default();
        open["Statement"][0]
            .as_object_mut()
            .and_then(|statement| statement.remove("Condition"));
        for policy in [
            open,
            second,
            default_with("Condition", others),
            default_with("Condition", json!({"StringEquals": {}})),
            default_with(
                "Condition",
                json!({"StringLike": {"AWS:SourceOwner": ACCOUNT}}),
            ),
            default_with("NotAction", json!("SNS:Publish")),
            default_with("Action", json!("SNS:*")),
            default_with("Effect", json!("Deny")),
            default_with("Resource", json!("*")),
            json!({}),
        ] {
            assert!(!is_default(&policy, ARN, ACCOUNT), "{policy}");
        }
    }
}
