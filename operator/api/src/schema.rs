//! Schemas of maps and of Kubernetes' own types, where a derive leaves them unbounded.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{pattern, platform::MOST_RETAINED};

/// Takes the description of a type away. Where a field is optional, the derive prefers the description of the enum to that of the
/// field, which is the one that says what it is for.
pub(crate) fn without_description(schema: &mut Schema) {
    schema.remove("description");
}

/// Labels: values of at most 63 characters, keys checked where the object that carries them is written.
pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 63, "pattern": pattern::LABEL_VALUE}
    })
}

/// Annotations: free text.
pub(crate) fn annotations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 4096}
    })
}

/// Tags of AWS: at most 40 of ours, since a resource has 50 and the owner tags need room.
pub(crate) fn tags(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 40,
        "additionalProperties": {"type": "string", "maxLength": 256},
        "x-kubernetes-validations": [{
            "rule": "self.all(key, !key.startsWith('aws:') && !key.startsWith('AWS:'))",
            "message": "a tag must not begin with aws: which AWS keeps for itself"
        }, {
            "rule": "self.all(key, key.size() > 0 && key.size() <= 128)",
            "message": "the key of a tag must have 1 to 128 characters"
        }]
    })
}

/// Custom resources, each with a word.
pub(crate) fn by_owner(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": MOST_RETAINED,
        "additionalProperties": {"type": "string", "maxLength": 64}
    })
}

/// Tags to find something by: at least one, since none would match everything.
pub(crate) fn tag_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 256}
    })
}

/// Attributes of a load balancer, by AWS's names.
pub(crate) fn load_balancer_attributes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 20,
        "additionalProperties": {"type": "string", "maxLength": 1024},
        "x-kubernetes-validations": [{
            "rule": "self.all(name, !self[name].contains(','))",
            "message": "an attribute must not hold a comma: the AWS Load Balancer Controller would read two attributes"
        }]
    })
}

/// Numbers of ports at the nodes, by the names of ports.
pub(crate) fn node_ports(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535}
    })
}

/// What a CSI driver wants to know of a volume, by its own names.
pub(crate) fn volume_attributes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 4096}
    })
}

/// A filter policy of SNS: message attributes and the values that pass. At most 5 attributes, as SNS has it. That the numbers of their
/// values, multiplied, are at most 150 is left to SNS: a rule cannot multiply what it goes through.
pub(crate) fn filter_policy(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 5,
        "additionalProperties": {
            "type": "array",
            "minItems": 1,
            "maxItems": 30,
            "x-kubernetes-list-type": "atomic",
            "items": {"type": "string", "maxLength": 256}
        }
    })
}

/// A number or a percentage, as in `1` or `25%`.
///
/// The rule says in words what most mistakes are, and no more than the pattern does. It is cheap on purpose: the API server takes a value that may be a number or
/// a text to be as long as a request can be, and `matches` would exceed what it allows.
pub(crate) fn int_or_percent(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true, "minimum": 0, "maximum": i32::MAX, "maxLength": 32, "pattern": "^(100|[1-9]?[0-9])%$",
        "x-kubernetes-validations": [{
            "rule": "!string(self).startsWith('-') && (!string(self).endsWith('%') || size(string(self)) <= 3 || string(self) == '100%')",
            "message": "write a number of 0 or more, or a percentage from 0% to 100%, such as 25%"
        }]
    })
}

/// Quantities by resource name, as in `{cpu: 250m, memory: 256Mi}`.
pub(crate) fn quantities(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 8,
        "additionalProperties": quantity(generator)
    })
}

/// A quantity, as in `64Mi`. Nothing that takes one here may be negative.
pub(crate) fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true, "minimum": 0, "maxLength": 32, "pattern": pattern::QUANTITY,
        "x-kubernetes-validations": [{
            "rule": "!string(self).startsWith('-')",
            "message": "a quantity must not be negative: write it as in 250m or 512Mi"
        }]
    })
}

/// Environment variables, without the sources that need a feature gate.
pub(crate) fn env(generator: &mut SchemaGenerator) -> Schema {
    let mut items = k8s_openapi::api::core::v1::EnvVar::json_schema(generator);
    remove(
        &mut items,
        &["properties", "valueFrom", "properties"],
        "fileKeyRef",
    );
    if let Some(name) = items
        .pointer_mut("/properties/name")
        .and_then(|name| name.as_object_mut())
    {
        name.insert("maxLength".into(), 128.into());
        name.insert("minLength".into(), 1.into());
        name.insert("pattern".into(), pattern::ENV_NAME.into());
    }
    if let Some(value) = items
        .pointer_mut("/properties/value")
        .and_then(|value| value.as_object_mut())
    {
        value.insert("maxLength".into(), 8192.into());
    }
    json_schema!({
        "type": "array",
        "maxItems": 128,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": items
    })
}

/// Security context of a container, without Windows: the node groups run Linux.
pub(crate) fn security_context(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = k8s_openapi::api::core::v1::SecurityContext::json_schema(generator);
    remove(&mut schema, &["properties"], "windowsOptions");
    schema
}

/// Security context of a pod, without Windows: the node groups run Linux.
pub(crate) fn pod_security_context(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = k8s_openapi::api::core::v1::PodSecurityContext::json_schema(generator);
    remove(&mut schema, &["properties"], "windowsOptions");
    schema
}

/// A patch of a pod template: whatever Kubernetes knows there, and `$patch`. What is in it is checked when it is resolved.
pub(crate) fn pod_template_patch(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Takes `member` out of the object at `path`.
fn remove(schema: &mut Schema, path: &[&str], member: &str) {
    let pointer: String = path.iter().flat_map(|step| ["/", step]).collect();
    if let Some(object) = schema
        .pointer_mut(&pointer)
        .and_then(|value| value.as_object_mut())
    {
        object.remove(member);
    }
}
