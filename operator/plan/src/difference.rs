//! Which fields of an AWS resource or a Kubernetes object differ from what is desired.

use serde_json::Value;

use crate::{
    aws::{AwsResource, Change, Field},
    version::is_version_of,
};

/// Longest text of a value in a plan, in characters: long enough for an ARN.
const SHOWN: usize = 160;

/// One field of an AWS resource that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The field and what changing it means.
    pub field: Field,
    /// Observed value.
    pub from: Value,
    /// Desired value.
    pub to: Value,
}

impl Difference {
    /// What is desired, for a person. Whoever let others in by a policy of a resource hears what does the same and stays.
    #[must_use]
    pub fn wanted(&self) -> String {
        if self.field.name == "policy" && self.to.is_null() {
            return format!("none ({LET_IN})");
        }
        show(&self.to)
    }
}

/// No field of a custom resource sets a policy that others add to.
const LET_IN: &str = "to let others in, a role that they may assume, or policy.drift: Report";

/// Tags are compared apart from the fields: ours must be there, others are left alone.
pub const TAGS: Field = Field::harmless("tags");

/// The fields in which an AWS resource differs from what is desired, in the order of its field table, tags last.
///
/// Fields that are not managed (`null`, unless leaving out means taking away), that are only set at creation, that have outgrown
/// the desired value, or that an autoscaler owns do not differ.
#[must_use]
pub fn aws(desired: &AwsResource, observed: &AwsResource) -> Vec<Difference> {
    let wanted = desired.yielding_to(observed).to_value();
    let found = observed.to_value();
    let mut differences: Vec<_> = desired
        .kind()
        .fields()
        .iter()
        .filter_map(|field| {
            let to = wanted.get(field.name).unwrap_or(&Value::Null);
            let from = found.get(field.name).unwrap_or(&Value::Null);
            differs(field, to, from).then(|| Difference {
                field: *field,
                from: from.clone(),
                to: to.clone(),
            })
        })
        .collect();
    let missing: serde_json::Map<_, _> = desired
        .tags()
        .iter()
        .filter(|(key, value)| observed.tags().get(*key) != Some(*value))
        .map(|(key, value)| (key.clone(), Value::from(value.clone())))
        .collect();
    if !missing.is_empty() {
        let old = missing
            .keys()
            .filter_map(|key| Some((key.clone(), Value::from(observed.tags().get(key)?.clone()))))
            .collect();
        differences.push(Difference {
            field: TAGS,
            from: Value::Object(old),
            to: Value::Object(missing),
        });
    }
    differences
}

fn differs(field: &Field, to: &Value, from: &Value) -> bool {
    if to.is_null() && !field.clearable {
        return false;
    }
    match field.change {
        Change::CreateOnly => false,
        Change::GrowOnly { .. } => outgrows(to, from),
        // `17` follows the minor versions that AWS installs. Of what is newer than declared see `version::Newer`.
        _ if matches!(field.name, "engineVersion" | "version") => {
            match (to.as_str(), from.as_str()) {
                (Some(to), Some(from)) => !is_version_of(from, to),
                _ => to != from,
            }
        }
        _ if matches!(
            field.name,
            "policy" | "trustPolicy" | "inlinePolicies" | "filterPolicy"
        ) =>
        {
            canonical(to) != canonical(from)
        }
        _ => to != from,
    }
}

/// A policy document in one spelling. AWS stores policies in a form of its own and gives that back: lists of texts in another
/// order, and a list of one as the text alone. In a policy neither means anything.
pub(crate) fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), canonical(value)))
            .collect(),
        Value::Array(list) => match list.as_slice() {
            [one @ Value::String(_)] => one.clone(),
            list if list.iter().all(Value::is_string) => {
                let mut texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
                texts.sort_unstable();
                Value::from(texts)
            }
            list => list.iter().map(canonical).collect(),
        },
        other => other.clone(),
    }
}

/// Whether a number, or any number in a map, is larger than the observed one.
fn outgrows(to: &Value, from: &Value) -> bool {
    match (to, from) {
        (Value::Object(to), _) => to
            .iter()
            .any(|(name, to)| outgrows(to, from.get(name).unwrap_or(&Value::Null))),
        _ => match (to.as_f64(), from.as_f64()) {
            (Some(to), Some(from)) => to > from,
            _ => to != from,
        },
    }
}

/// A value for a person: shortened, strings without quotes, nothing for `null`.
#[must_use]
pub fn show(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= SHOWN {
        text
    } else {
        text.chars().take(SHOWN - 1).chain(['…']).collect()
    }
}

/// The paths at which a Kubernetes object differs from what is desired of it.
///
/// Only what is desired is compared, since defaults and other managers add fields. Lists are compared entry by entry: by
/// `name` (or another merge key) where the entries have one, else by position.
#[must_use]
pub fn kubernetes(desired: &Value, observed: &Value) -> Vec<(String, Value, Value)> {
    let mut differences = Vec::new();
    compare("", desired, observed, &mut differences);
    differences
}

fn compare(
    path: &str,
    desired: &Value,
    observed: &Value,
    differences: &mut Vec<(String, Value, Value)>,
) {
    match (desired, observed) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (key, value) in wanted {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                match found.get(key) {
                    Some(_) if is_filled_in(&path, value) => {}
                    Some(found) => compare(&path, value, found, differences),
                    None if is_absent(value) || is_left_out(&path, value) => {}
                    None => differences.push((path, Value::Null, value.clone())),
                }
            }
        }
        (Value::Array(wanted), Value::Array(found)) => {
            compare_lists(path, wanted, found, differences)
        }
        _ if desired == observed || (is_quantity(path) && same_quantity(desired, observed)) => {}
        _ => differences.push((path.to_owned(), observed.clone(), desired.clone())),
    }
}

/// An empty map or list, or `null`, that the API server leaves out is no difference.
fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Fields of a pod that the API server leaves out where they have their zero value: `omitempty` of Kubernetes' types that are no
/// pointers. Of the others, zero is a value: `automountServiceAccountToken: false` that is gone was taken away by somebody.
const LEFT_OUT_WHEN_ZERO: [&str; 23] = [
    "audience",
    "containerName",
    "effect",
    "fsType",
    "host",
    "hostIP",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostPort",
    "hostname",
    "initialDelaySeconds",
    "key",
    "operator",
    "prefix",
    "readOnly",
    "stdin",
    "stdinOnce",
    "subPath",
    "subPathExpr",
    "tty",
    "value",
    "workingDir",
];

/// Texts of a pod for which the API server puts its default in where they are empty.
const FILLED_IN_WHEN_EMPTY: [&str; 8] = [
    "dnsPolicy",
    "imagePullPolicy",
    "protocol",
    "restartPolicy",
    "scheme",
    "schedulerName",
    "terminationMessagePath",
    "terminationMessagePolicy",
];

fn is_filled_in(path: &str, value: &Value) -> bool {
    let field = path.rsplit('.').next().unwrap_or(path);
    value.as_str().is_some_and(str::is_empty)
        && path.starts_with("spec.template.spec.")
        && FILLED_IN_WHEN_EMPTY.contains(&field)
}

fn is_left_out(path: &str, value: &Value) -> bool {
    let is_zero = match value {
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_i64() == Some(0),
        Value::String(value) => value.is_empty(),
        _ => false,
    };
    let field = path.rsplit('.').next().unwrap_or(path);
    is_zero && path.starts_with("spec.template.spec.") && LEFT_OUT_WHEN_ZERO.contains(&field)
}

/// Keys by which lists in the objects that we write are merged.
const MERGE_KEYS: [&str; 7] = [
    "name",
    "containerPort",
    "port",
    "mountPath",
    "topologyKey",
    "uid",
    "ip",
];

fn compare_lists(
    path: &str,
    wanted: &[Value],
    found: &[Value],
    differences: &mut Vec<(String, Value, Value)>,
) {
    let key = MERGE_KEYS
        .iter()
        .find(|key| !wanted.is_empty() && tells_apart(wanted, key));
    match key {
        Some(key) => {
            for entry in wanted {
                let path = format!("{path}[{}]", show(&entry[*key]));
                match found
                    .iter()
                    .find(|other| other.get(*key) == entry.get(*key))
                {
                    Some(other) => compare(&path, entry, other, differences),
                    None => differences.push((path, Value::Null, entry.clone())),
                }
            }
            // Entries of other managers stay: an apply cannot remove them, and would be repeated for ever. The rules of a
            // NetworkPolicy have one owner, and there an entry more is a hole.
            if found.len() > wanted.len() && path.starts_with("spec.ingress") {
                differences.push((
                    path.to_owned(),
                    Value::from(found.len()),
                    Value::from(wanted.len()),
                ));
            }
        }
        None if wanted.len() == found.len() => {
            for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                compare(&format!("{path}[{index}]"), wanted, found, differences);
            }
        }
        None => differences.push((
            path.to_owned(),
            Value::Array(found.to_vec()),
            Value::Array(wanted.to_vec()),
        )),
    }
}

/// Whether each entry has another value of this key: one port number may be there for two protocols.
fn tells_apart(entries: &[Value], key: &str) -> bool {
    entries.iter().enumerate().all(|(index, entry)| {
        entry.get(key).is_some_and(|value| {
            entries[..index]
                .iter()
                .all(|other| other.get(key) != Some(value))
        })
    })
}

/// Whether the value at a path is a quantity. Elsewhere `1.10` and `1.1` are two texts, such as two versions in a variable.
fn is_quantity(path: &str) -> bool {
    [
        "resources.requests.",
        "resources.limits.",
        "sizeLimit",
        "averageValue",
        ".divisor",
        ".overhead.",
    ]
    .iter()
    .any(|part| path.contains(part))
}

/// `0.5` and `500m` are the same to the API server, which writes the shortest form.
fn same_quantity(desired: &Value, observed: &Value) -> bool {
    match (quantity(desired), quantity(observed)) {
        (Some(desired), Some(observed)) => {
            (desired - observed).abs() <= f64::EPSILON * desired.abs().max(observed.abs())
        }
        _ => false,
    }
}

/// The amount that a quantity of Kubernetes is.
pub(crate) fn quantity(value: &Value) -> Option<f64> {
    if let Some(number) = value.as_f64() {
        return Some(number);
    }
    let text = value.as_str()?;
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-' || c == '+'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_that_the_server_adds_are_no_difference() {
        let desired = json!({"spec": {"replicas": 2, "template": {"containers": [{"name": "app", "image": "a:1"}]}}});
        let observed = json!({"spec": {"replicas": 2, "paused": false,
            "template": {"containers": [{"name": "app", "image": "a:1", "imagePullPolicy": "IfNotPresent"}]}}, "status": {}});
        assert_eq!(kubernetes(&desired, &observed), vec![]);
    }

    #[test]
    fn a_changed_entry_of_a_named_list_is_found_by_its_name() {
        let desired = json!({"c": [{"name": "app", "image": "a:2"}]});
        let observed =
            json!({"c": [{"name": "side", "image": "s"}, {"name": "app", "image": "a:1"}]});
        let paths: Vec<_> = kubernetes(&desired, &observed)
            .into_iter()
            .map(|(path, ..)| path)
            .collect();
        assert_eq!(paths, ["c[app].image"]);
    }

    #[test]
    fn quantities_are_compared_by_value() {
        let of = |requests: Value| json!({"resources": {"requests": requests}});
        assert_eq!(
            kubernetes(
                &of(json!({"cpu": "0.5", "memory": "1024Mi"})),
                &of(json!({"cpu": "500m", "memory": "1Gi"}))
            ),
            vec![]
        );
        assert_eq!(
            kubernetes(&of(json!({"cpu": "0.5"})), &of(json!({"cpu": "501m"}))).len(),
            1
        );
        assert_eq!(
            kubernetes(
                &json!({"env": [{"name": "VERSION", "value": "1.10"}]}),
                &json!({"env": [{"name": "VERSION", "value": "1.1"}]})
            )
            .len(),
            1
        );
    }

    #[test]
    fn policies_are_the_same_in_every_order_and_spelling_that_aws_gives_them_back_in() {
        let ours = json!({"Statement": [{"Action": ["b", "a"], "Resource": ["one"]}]});
        let theirs = json!({"Statement": [{"Action": ["a", "b"], "Resource": "one"}]});
        assert_eq!(canonical(&ours), canonical(&theirs));
        assert_ne!(
            canonical(&ours),
            canonical(&json!({"Statement": [{"Action": ["a"], "Resource": "one"}]}))
        );
    }

    #[test]
    fn a_policy_that_is_taken_away_says_what_lets_others_in_and_stays() {
        let difference = |name, to: Value| Difference {
            field: Field::harmless(name),
            from: json!({"Statement": []}),
            to,
        };
        let told = difference("policy", Value::Null).wanted();
        assert!(
            told.starts_with("none (") && told.contains("drift: Report"),
            "{told}"
        );
        assert_eq!(difference("redrive", Value::Null).wanted(), "none");
        assert_eq!(difference("policy", json!({})).wanted(), "{}");
    }

    #[test]
    fn what_only_grows_differs_where_more_is_desired() {
        assert!(outgrows(&json!(5), &json!(4)) && outgrows(&json!(5), &Value::Null));
        assert!(!outgrows(&json!(5), &json!(5)) && !outgrows(&json!(5), &json!(6)));
        let observed = json!({"by-state": {"read": 12_000, "write": 4_000}, "by-day": {"read": 12_000, "write": 4_000}});
        assert!(
            !outgrows(&json!({}), &observed),
            "what is not asked for is left alone"
        );
        assert!(!outgrows(
            &json!({"by-state": {"read": 1, "write": 4_000}}),
            &observed
        ));
        assert!(outgrows(
            &json!({"by-state": {"read": 1, "write": 5_000}}),
            &observed
        ));
        assert!(outgrows(
            &json!({"by-shop": {"read": 1, "write": 1}}),
            &observed
        ));
    }
}
