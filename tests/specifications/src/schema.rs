//! Values that a structural schema accepts.

use serde_json::{Map, Value, json};

use crate::{choices::Choices, text::text};

/// Most members of a list or a map, beyond those that have to be there: more of them only take longer.
const MEMBERS: usize = 3;
/// Keys of maps whose schema does not say what keys look like.
const KEYS: [&str; 5] = ["a", "app.example/part-of", "X_Y.z", "cpu", "memory"];

/// Any value of a schema. `None` where none was found: a required text that no try could make.
pub(crate) fn value(schema: &Value, choices: &mut Choices<'_>) -> Option<Value> {
    if let Some(several) = schema["enum"].as_array() {
        return choices.of(several).cloned();
    }
    if schema["x-kubernetes-int-or-string"] == json!(true) {
        return if choices.one_in(2) {
            any_text(schema, choices)
        } else {
            Some(integer(schema, choices))
        };
    }
    match schema["type"].as_str() {
        Some("object") => object(schema, choices),
        Some("array") => array(schema, choices),
        Some("integer") => Some(integer(schema, choices)),
        Some("number") => Some(json!(choices.between(-3, 3))),
        Some("boolean") => Some(json!(choices.one_in(2))),
        Some("string") => any_text(schema, choices),
        _ => Some(json!({})),
    }
}

/// Changes one field of an object, or of one of those in it: leaves it out, gives it another value, or changes what is in it.
pub(crate) fn change(object: &mut Value, schema: &Value, choices: &mut Choices<'_>) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let names: Vec<&String> = properties.keys().collect();
    let Some(&name) = choices.of(&names) else {
        return;
    };
    let inner = &properties[name];
    let (present, required) = (object.get(name).is_some(), is_required(schema, name));
    let deeper = present && !choices.one_in(4);
    match (&mut object[name.as_str()], deeper) {
        (Value::Object(_), true) if inner["properties"].is_object() => {
            change(&mut object[name.as_str()], inner, choices);
        }
        (Value::Array(list), true)
            if inner["items"]["properties"].is_object() && !list.is_empty() =>
        {
            let which = choices.up_to(list.len() - 1);
            change(&mut list[which], &inner["items"], choices);
        }
        _ => {
            let leave_out = present && !required && choices.one_in(3);
            match value(inner, choices).filter(|_| !leave_out) {
                Some(other) => object[name.as_str()] = other,
                None if required => {}
                None => drop(object.as_object_mut().map(|object| object.remove(name))),
            }
        }
    }
    // What was only looked at must not stay as null.
    if let Some(members) = object.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
}

fn is_required(schema: &Value, name: &str) -> bool {
    let required = schema["required"].as_array();
    required.is_some_and(|required| required.iter().any(|other| other == name))
}

fn object(schema: &Value, choices: &mut Choices<'_>) -> Option<Value> {
    let mut made = Map::new();
    if let Some(properties) = schema["properties"].as_object() {
        let member = union_member(properties, &mut made, choices);
        for (name, inner) in properties {
            if made.contains_key(name) {
                continue;
            }
            let of_union = properties.contains_key("type") && is_union(properties, name);
            let wanted = match &member {
                Some(member) if of_union => member == name,
                _ => choices.one_in(4),
            };
            if is_required(schema, name) {
                made.insert(name.clone(), value(inner, choices)?);
            } else if wanted && let Some(value) = value(inner, choices) {
                made.insert(name.clone(), value);
            }
        }
    } else if schema["additionalProperties"].is_object() {
        for _ in 0..count(schema, ("minProperties", "maxProperties"), choices) {
            let key = choices.of(&KEYS).map_or("a", |&key| key);
            made.insert(
                key.to_owned(),
                value(&schema["additionalProperties"], choices)?,
            );
        }
    }
    Some(Value::Object(made))
}

/// Chooses the type of a union, and gives the name of the member that goes with it: `nodeGroup` for `NodeGroup`. Without this
/// nearly everything would be refused for having a type and another's member.
fn union_member(
    properties: &Map<String, Value>,
    made: &mut Map<String, Value>,
    choices: &mut Choices<'_>,
) -> Option<String> {
    let types = properties.get("type")?["enum"].as_array()?;
    let chosen = choices.of(types)?;
    if !choices.one_in(16) {
        made.insert("type".to_owned(), chosen.clone());
    }
    let chosen = chosen.as_str()?.to_lowercase();
    Some(
        properties
            .keys()
            .find(|name| name.to_lowercase() == chosen)
            .cloned()
            .unwrap_or_default(),
    )
}

/// Whether a property is the member of a union that goes with one of its types.
fn is_union(properties: &Map<String, Value>, name: &str) -> bool {
    let types = properties["type"]["enum"].as_array();
    types.is_some_and(|types| {
        let mut names = types.iter().filter_map(Value::as_str);
        names.any(|type_| type_.eq_ignore_ascii_case(name))
    })
}

fn array(schema: &Value, choices: &mut Choices<'_>) -> Option<Value> {
    let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut items: Vec<Value> = Vec::new();
    for _ in 0..count(schema, ("minItems", "maxItems"), choices) {
        let item = value(&schema["items"], choices)?;
        let is_same = |other: &Value| {
            if keys.is_empty() {
                *other == item
            } else {
                keys.iter().all(|key| other[*key] == item[*key])
            }
        };
        let distinct = matches!(
            schema["x-kubernetes-list-type"].as_str(),
            Some("map" | "set")
        );
        if !distinct || !items.iter().any(is_same) {
            items.push(item);
        }
    }
    let least = usize::try_from(schema["minItems"].as_u64().unwrap_or(0)).ok()?;
    (items.len() >= least).then_some(Value::Array(items))
}

fn count(schema: &Value, (least, most): (&str, &str), choices: &mut Choices<'_>) -> usize {
    let bound = |name: &str, default: usize| {
        schema[name]
            .as_u64()
            .and_then(|bound| usize::try_from(bound).ok())
            .unwrap_or(default)
    };
    let (least, most) = (bound(least, 0), bound(most, usize::MAX));
    least + choices.up_to(MEMBERS.min(most.saturating_sub(least)))
}

fn integer(schema: &Value, choices: &mut Choices<'_>) -> Value {
    // What the API server stores where the schema has no bound: a whole number of 64 bits.
    let bound = |name: &str, default: i64| {
        let bound = &schema[name];
        bound
            .as_i64()
            .or_else(|| bound.as_f64().map(|bound| bound as i64))
            .unwrap_or(default)
    };
    let (least, most) = match schema["format"].as_str() {
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    json!(choices.between(bound("minimum", least), bound("maximum", most)))
}

fn any_text(schema: &Value, choices: &mut Choices<'_>) -> Option<Value> {
    let bound = |name: &str| {
        schema[name]
            .as_u64()
            .and_then(|bound| usize::try_from(bound).ok())
    };
    let longest = bound("maxLength").unwrap_or(4096);
    text(
        schema["pattern"].as_str(),
        bound("minLength").unwrap_or(0),
        longest,
        choices,
    )
    .map(Value::String)
}
