//! The objects of a workload as one flat list of fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shopkeeper_api::{CatalogService, Managed, OrderService, Storefront};
use shopkeeper_plan::{
    blueprint,
    kubernetes::{DESIRED_ANNOTATION, KubernetesObject},
    resolve::{References, Resolve},
};

use crate::{
    fixture::{Wanted, facts, references, routed_from, typed, wanted},
    world::World,
};

const SHOP: &str = "retail-store";

/// Value of a variable that is read from a Secret.
const FROM_A_SECRET: &str = "from a Secret";

/// Everything that is made for a workload: `Service spec.type`, `Container ports[http].containerPort`, `Environment JAVA_OPTS`.
/// Left out is what the operator keeps its books by: namespace, owner, the labels of the objects themselves, and the hash of what
/// it applied.
///
/// The template of a Deployment is under `Pod` and `Container`. `Environment` is what the container reads, wherever from; what is
/// only there to be read (the data of ConfigMaps and Secrets) is not shown again.
pub fn made(object: &Value, workload: &str) -> BTreeMap<String, Value> {
    let objects = objects(object);
    let deployment = &objects
        .iter()
        .find(|object| object.kind.id() == "Deployment")
        .expect("there is a Deployment")
        .body;
    assert_eq!(deployment["metadata"]["name"], workload);
    let mut template = deployment["spec"]["template"].clone();
    let containers = template["spec"]["containers"].take();
    let [container] = containers.as_array().unwrap().as_slice() else {
        panic!("one container: {containers}");
    };
    let mut container = container.clone();
    let environment = environment(&mut container, &objects);
    name_volumes_by_mount(&mut template, &container);

    let mut fields = BTreeMap::new();
    flatten("Pod ", &template, &mut fields);
    flatten("Container ", &container, &mut fields);
    flatten("Environment ", &Value::Object(environment), &mut fields);
    for object in &objects {
        let kind = object.kind.id();
        let alone = objects
            .iter()
            .filter(|other| other.kind == object.kind)
            .count()
            == 1;
        let title = if alone {
            format!("{kind} ")
        } else {
            format!("{kind}/{} ", object.name)
        };
        flatten(&title, &shown(kind, &object.body), &mut fields);
    }
    fields.retain(|_, value| !value.is_null());
    fields
}

/// The Kubernetes objects of a custom resource, in a cluster without ServiceMonitors, as the sample's is.
fn objects(object: &Value) -> Vec<KubernetesObject> {
    let wanted = match object["kind"].as_str().unwrap() {
        CatalogService::KIND => of::<CatalogService>(object),
        OrderService::KIND => of::<OrderService>(object),
        Storefront::KIND => of::<Storefront>(object),
        other => panic!("no workloads in a {other}"),
    };
    let world = World::settled(wanted);
    let blueprint = (world.wanted.blueprint)(&world.observe());
    blueprint
        .iter()
        .filter_map(|(_, node)| match &node.wanted {
            blueprint::Wanted::Kubernetes(object) => Some((**object).clone()),
            _ => None,
        })
        .collect()
}

fn of<K: Resolve>(object: &Value) -> Wanted {
    let references = References {
        routed_from: routed_from(SHOP, object),
        service_monitors: false,
        ..references(SHOP)
    };
    let resolved = typed::<K>(object).resolve(&facts(SHOP), &references);
    wanted(resolved.expect("it resolves"))
}

/// Takes the variables out of a container and reads what they refer to.
fn environment(container: &mut Value, objects: &[KubernetesObject]) -> Map<String, Value> {
    assert_eq!(container["envFrom"], Value::Null, "there is no need of it");
    let data = |kind: &str, source: &Value| {
        let object = objects
            .iter()
            .find(|object| object.kind.id() == kind && source["name"] == object.name)
            .unwrap_or_else(|| panic!("{kind} {source} is not made"));
        let value = &object.body["data"][source["key"].as_str().unwrap()];
        assert!(value.is_string(), "{kind} {source} has no such key");
        value.clone()
    };
    let variables = container["env"].take();
    variables
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| {
            let from = &variable["valueFrom"];
            let value = if from["configMapKeyRef"].is_object() {
                data("ConfigMap", &from["configMapKeyRef"])
            } else if from["secretKeyRef"].is_object() {
                data("Secret", &from["secretKeyRef"]);
                json!(FROM_A_SECRET)
            } else if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
                json!(format!("field {path}"))
            } else {
                variable["value"].clone()
            };
            (variable["name"].as_str().unwrap().to_owned(), value)
        })
        .collect()
}

/// The name of a volume means something within its pod only; where it is mounted is what the application sees.
fn name_volumes_by_mount(template: &mut Value, container: &Value) {
    let mounts = container["volumeMounts"].as_array();
    for volume in template["spec"]["volumes"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        let mount = mounts
            .into_iter()
            .flatten()
            .find(|mount| mount["name"] == volume["name"])
            .expect("a volume is mounted");
        volume["name"] = mount["mountPath"].clone();
    }
}

fn shown(kind: &str, body: &Value) -> Value {
    let mut object = json!({"metadata": {"name": body["metadata"]["name"]}});
    if let Some(annotations) = body["metadata"]["annotations"].as_object() {
        let mut annotations = annotations.clone();
        annotations.remove(DESIRED_ANNOTATION);
        object["metadata"]["annotations"] = json!(annotations);
    }
    let members = body.as_object().unwrap().iter();
    for (name, value) in
        members.filter(|(name, _)| !["apiVersion", "kind", "metadata"].contains(&name.as_str()))
    {
        object[name] = value.clone();
    }
    match kind {
        "Deployment" => drop(object["spec"]["template"].take()),
        "ConfigMap" | "Secret" => drop(object["data"].take()),
        _ => {}
    }
    object
}

/// Members of a list are called by what tells them apart; a list of plain values is one field.
fn flatten(path: &str, value: &Value, fields: &mut BTreeMap<String, Value>) {
    let join = |member: &str| {
        if path.ends_with(' ') {
            format!("{path}{member}")
        } else {
            format!("{path}.{member}")
        }
    };
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                flatten(&join(name), member, fields);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, item) in items.iter().enumerate() {
                let mut item = item.clone();
                let key = ["mountPath", "topologyKey", "name"]
                    .into_iter()
                    .find_map(|key| item.as_object_mut()?.remove(key))
                    .map_or_else(|| index.to_string(), |key| key.as_str().unwrap().to_owned());
                flatten(&format!("{path}[{key}]"), &item, fields);
            }
        }
        // Nothing and an empty list or map mean the same to the API server, but for a volume of the kind emptyDir.
        Value::Array(items) if items.is_empty() => {}
        Value::Object(_) if !path.ends_with("emptyDir") => {}
        plain => drop(fields.insert(path.to_owned(), plain.clone())),
    }
}
