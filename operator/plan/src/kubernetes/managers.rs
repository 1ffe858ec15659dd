//! Who wrote a field of an object, by its `managedFields`.

use serde_json::Value;

use super::{object::SHOPKEEPER, surplus::Surplus};

/// The field manager that added an entry; `None` where the object does not tell, or we did.
pub(super) fn added_by<'a>(observed: &'a Value, entry: &Surplus) -> Option<&'a str> {
    let entries = observed.pointer("/metadata/managedFields")?.as_array()?;
    let managers = entries.iter().filter(|managed| {
        managed
            .get("fieldsV1")
            .is_some_and(|fields| is_in(fields, observed, &entry.pointer))
    });
    managers
        .filter_map(|managed| managed["manager"].as_str())
        .find(|manager| *manager != SHOPKEEPER)
}

/// Whether a set of fields, in the form of `fieldsV1`, has what a JSON pointer points at in an object.
fn is_in(fields: &Value, object: &Value, pointer: &str) -> bool {
    let (mut fields, mut object) = (fields, object);
    for segment in pointer.split('/').skip(1) {
        let name = segment.replace("~1", "/").replace("~0", "~");
        let Some(known) = fields.as_object() else {
            return false;
        };
        let inner = match object {
            Value::Array(list) => {
                let entry = name.parse().ok().and_then(|index: usize| list.get(index));
                object = entry.unwrap_or(&Value::Null);
                known
                    .iter()
                    .find(|(key, _)| is_entry(key, object))
                    .map(|(_, inner)| inner)
            }
            map => {
                object = map.get(&name).unwrap_or(&Value::Null);
                known.get(&format!("f:{name}"))
            }
        };
        match inner {
            Some(inner) => fields = inner,
            // A list or map that has one owner as a whole.
            None => return known.is_empty(),
        }
    }
    true
}

/// `k:{"name":"app"}` stands for the entry with this name, `v:"app"` for the entry `app`.
fn is_entry(key: &str, entry: &Value) -> bool {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    match key.split_once(':') {
        Some(("k", keys)) => parsed(keys)
            .as_ref()
            .and_then(Value::as_object)
            .is_some_and(|keys| {
                keys.iter()
                    .all(|(name, value)| entry.get(name) == Some(value))
            }),
        Some(("v", value)) => parsed(value).as_ref() == Some(entry),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn managed(body: &mut Value, manager: &str, fields: Value) {
        let entry = json!({"manager": manager, "operation": "Update", "fieldsV1": fields});
        match body["metadata"]["managedFields"].as_array_mut() {
            Some(entries) => entries.push(entry),
            None => body["metadata"]["managedFields"] = json!([entry]),
        }
    }

    fn by<'a>(body: &'a Value, pointer: &str) -> Option<&'a str> {
        let entry = Surplus {
            path: String::new(),
            pointer: pointer.to_owned(),
            value: Value::Null,
        };
        added_by(body, &entry)
    }

    #[test]
    fn whoever_has_the_field_added_it() {
        let mut body = json!({
            "metadata": {"annotations": {"alb.ingress.kubernetes.io/group.name": "x", "other": "y"}},
            "spec": {"externalIPs": ["203.0.113.7"], "containers": [
                {"name": "app", "env": [{"name": "A"}, {"name": "DEBUG"}]},
                {"name": "debug"},
            ]},
        });
        managed(
            &mut body,
            "shopkeeper",
            json!({"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:env": {"k:{\"name\":\"A\"}": {".": {}}}}}}}),
        );
        managed(
            &mut body,
            "kubectl-annotate",
            json!({"f:metadata": {"f:annotations": {"f:alb.ingress.kubernetes.io/group.name": {}}}}),
        );
        managed(
            &mut body,
            "kubectl-edit",
            json!({"f:spec": {"f:externalIPs": {}, "f:containers": {
                "k:{\"name\":\"app\"}": {"f:env": {"k:{\"name\":\"DEBUG\"}": {".": {}, "f:name": {}}}},
                "k:{\"name\":\"debug\"}": {".": {}, "f:name": {}},
            }}}),
        );
        for (pointer, manager) in [
            (
                "/metadata/annotations/alb.ingress.kubernetes.io~1group.name",
                Some("kubectl-annotate"),
            ),
            ("/metadata/annotations/other", None),
            ("/spec/externalIPs/0", Some("kubectl-edit")),
            ("/spec/containers/0/env/0", None),
            ("/spec/containers/0/env/1", Some("kubectl-edit")),
            ("/spec/containers/1", Some("kubectl-edit")),
        ] {
            assert_eq!(by(&body, pointer), manager, "{pointer}");
        }
        assert_eq!(by(&json!({}), "/spec/externalIPs/0"), None);
    }
}
