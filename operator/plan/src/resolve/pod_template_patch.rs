//! `workload.podTemplatePatch`: whether it is one, and leaves alone what Shopkeeper finds its pods by.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::{Map, Value, json};

use super::{Component, nodes::PLACEMENT_LABELS};
use crate::{
    failure::Failure,
    kubernetes::{
        bindings::Bound,
        object::Frame,
        pod,
        strategic_merge::{self, DIRECTIVE, RETAIN_KEYS, directive, merge_key},
    },
    names::Owner,
};

/// Labels and annotations with this prefix are Shopkeeper's own: a hash of what the pods read at their start is one.
const OWN_PREFIX: &str = "shopkeeper.dev/";

/// Refuses a patch that is none, or that reaches for what Shopkeeper needs.
pub(super) fn check(owner: &Owner, component: &Component, field: &str) -> Result<(), Failure> {
    let Some(patch) = &component.workload.pod_template_patch else {
        return Ok(());
    };
    let patched = Patched {
        field: format!("{field}.workload.podTemplatePatch"),
        component,
        owner,
    };
    patched.is_a_pod_template(patch)?;
    patched.keeps_what_is_needed(patch)
}

struct Patched<'a> {
    field: String,
    component: &'a Component,
    owner: &'a Owner,
}

impl Patched<'_> {
    fn refuse(&self, path: &str, problem: &str, remedy: &str) -> Failure {
        Failure::invalid(&format!("{}{path}", self.field), problem, remedy)
    }

    /// Whether every member is one that a pod template has, and of its type.
    fn is_a_pod_template(&self, patch: &Map<String, Value>) -> Result<(), Failure> {
        if let Some(member) = patch
            .keys()
            .find(|name| !["metadata", "spec"].contains(&name.as_str()))
        {
            return Err(self.refuse(
                "",
                &format!("{member} is no member of a pod template"),
                "write metadata, spec or both",
            ));
        }
        let said = Value::Object(self.without_directives("", patch)?);
        let read: PodTemplateSpec = serde_path_to_error::deserialize(&said).map_err(|error| {
            self.refuse(
                &format!(".{}", error.path()),
                &error.inner().to_string(),
                "correct it: the patch has the form of a pod template",
            )
        })?;
        match unknown("", &said, &json!(read)) {
            None => Ok(()),
            Some(path) => Err(self.refuse(
                &path,
                "is no field of a pod template of Kubernetes 1.36",
                "correct the name, or take it out",
            )),
        }
    }

    /// What a map of the patch says, as if it stood alone.
    fn without_directives(
        &self,
        path: &str,
        patch: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Failure> {
        let mut said = Map::new();
        for (name, value) in patch {
            let path = format!("{path}.{name}");
            match value {
                _ if name.starts_with('$') => self.is_a_directive(&path, name, value)?,
                Value::Null => {}
                Value::Object(patch) => {
                    said.insert(
                        name.clone(),
                        Value::Object(self.without_directives(&path, patch)?),
                    );
                }
                Value::Array(patch) => {
                    said.insert(
                        name.clone(),
                        Value::Array(self.of_a_list(&path, name, patch)?),
                    );
                }
                value => drop(said.insert(name.clone(), value.clone())),
            }
        }
        Ok(said)
    }

    fn is_a_directive(&self, path: &str, name: &str, value: &Value) -> Result<(), Failure> {
        let known = match name {
            DIRECTIVE => ["delete", "replace", "merge"]
                .iter()
                .any(|known| value == known),
            RETAIN_KEYS => value
                .as_array()
                .is_some_and(|names| names.iter().all(Value::is_string)),
            _ => false,
        };
        if known {
            return Ok(());
        }
        Err(self.refuse(
            path,
            &format!("{value} is no directive that is known"),
            "use $patch with delete, replace or merge, $retainKeys with a list of names, or null",
        ))
    }

    fn of_a_list(&self, path: &str, list: &str, patch: &[Value]) -> Result<Vec<Value>, Failure> {
        let mut said = Vec::new();
        for (index, entry) in patch.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let Value::Object(entry) = entry else {
                said.push(entry.clone());
                continue;
            };
            let rest = self.without_directives(&path, entry)?;
            match (merge_key(list), directive(entry)) {
                (Some(_), Some("replace")) if rest.is_empty() => continue,
                (Some(_), Some("replace")) => {
                    return Err(self.refuse(
                        &path,
                        "$patch: replace in a list means the whole list, and stands alone",
                        "write it as a member of its own",
                    ));
                }
                (Some(key), _) if !rest.contains_key(key) => {
                    return Err(self.refuse(
                        &path,
                        &format!("{key} is missing, by which {list} are merged"),
                        "add it",
                    ));
                }
                (Some(_), Some("delete")) => {}
                _ => said.push(Value::Object(rest)),
            }
        }
        Ok(said)
    }

    /// Whether what Shopkeeper finds its pods by is the same with the patch and without.
    fn keeps_what_is_needed(&self, patch: &Map<String, Value>) -> Result<(), Failure> {
        let frame = Frame {
            owner: self.owner,
            component: &self.component.name,
        };
        let before = pod::unpatched(&frame, self.component, &Bound::default(), &[]);
        let mut after = before.clone();
        strategic_merge::merge(&mut after, patch);

        let labels = frame.labels();
        for (name, value) in &labels {
            if after["metadata"]["labels"].get(name) != Some(value) {
                return Err(self.refuse(
                    &format!(".metadata.labels[{name}]"),
                    "the pods are selected by it",
                    "leave it out",
                ));
            }
        }
        for part in ["labels", "annotations"] {
            let own = patch
                .get("metadata")
                .and_then(|metadata| metadata.get(part));
            self.leaves_our_names_alone(part, patch.get("metadata"), own)?;
        }
        let metadata = after["metadata"].as_object();
        if let Some(member) = metadata
            .into_iter()
            .flat_map(Map::keys)
            .find(|name| !["labels", "annotations"].contains(&name.as_str()))
        {
            return Err(self.refuse(
                &format!(".metadata.{member}"),
                "pods have it from their ReplicaSet",
                "patch labels and annotations only",
            ));
        }
        for member in ["serviceAccountName", "serviceAccount"] {
            if before["spec"].get(member) != after["spec"].get(member) {
                return Err(self.refuse(
                    &format!(".spec.{member}"),
                    "the identity of the pods in AWS hangs on their ServiceAccount",
                    "set workload.serviceAccountName",
                ));
            }
        }
        for key in PLACEMENT_LABELS {
            if before["spec"]["nodeSelector"].get(key) != after["spec"]["nodeSelector"].get(key) {
                return Err(self.refuse(
                    &format!(".spec.nodeSelector[{key}]"),
                    "it is how the pods get to their nodes",
                    "say where they run with spec.nodes",
                ));
            }
        }
        let tolerated = |template: &Value| {
            let tolerations = template["spec"]["tolerations"].as_array();
            tolerations.cloned().unwrap_or_default()
        };
        let kept = tolerated(&after);
        if tolerated(&before)
            .iter()
            .any(|toleration| !kept.contains(toleration))
        {
            return Err(self.refuse(
                ".spec.tolerations",
                "takes away a toleration that the pods need for their nodes: this list is replaced, not merged",
                "add yours to workload.tolerations",
            ));
        }
        self.keeps_the_main_container(&after)
    }

    /// Hashes that exchange the pods when a password changes are among them, and are not known yet.
    fn leaves_our_names_alone(
        &self,
        part: &str,
        metadata: Option<&Value>,
        of_part: Option<&Value>,
    ) -> Result<(), Failure> {
        let path = format!(".metadata.{part}");
        let named = of_part
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::keys)
            .find(|name| name.starts_with(OWN_PREFIX));
        if let Some(name) = named {
            return Err(self.refuse(
                &format!("{path}[{name}]"),
                "names that begin with shopkeeper.dev/ are Shopkeeper's own",
                "leave it out",
            ));
        }
        let takes_all = |value: &Value| {
            value.is_null()
                || value.as_object().is_some_and(|map| {
                    map.contains_key(RETAIN_KEYS)
                        || matches!(directive(map), Some("delete" | "replace"))
                })
        };
        if of_part.is_some_and(takes_all) || metadata.is_some_and(takes_all) {
            return Err(self.refuse(
                &path,
                "Shopkeeper keeps labels and annotations of its own there",
                "take single ones away with null",
            ));
        }
        Ok(())
    }

    /// It has to be there, under its name and with its ports, by which Service and probes find it.
    fn keeps_the_main_container(&self, after: &Value) -> Result<(), Failure> {
        let name = &self.component.name;
        let containers = after["spec"]["containers"].as_array();
        let Some(container) = containers
            .into_iter()
            .flatten()
            .find(|container| container["name"] == **name)
        else {
            return Err(self.refuse(
                &format!(".spec.containers[{name}]"),
                "is the main container, and would be gone",
                "change its fields, and leave the container",
            ));
        };
        for port in &self.component.workload.ports {
            let kept = container["ports"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|other| {
                    other["name"] == *port.name && other["containerPort"] == port.container_port
                });
            if !kept {
                return Err(self.refuse(
                    &format!(".spec.containers[{name}].ports[{}]", port.container_port),
                    &format!(
                        "the Service finds the application by port {} of that name",
                        port.name
                    ),
                    "change workload.ports",
                ));
            }
        }
        Ok(())
    }
}

/// The first member of what was said that was not understood. What is left out of what was read was not.
fn unknown(path: &str, said: &Value, read: &Value) -> Option<String> {
    match (said, read) {
        (Value::Object(said), Value::Object(read)) => said.iter().find_map(|(name, said)| {
            let path = format!("{path}.{name}");
            match read.get(name) {
                Some(read) => unknown(&path, said, read),
                None => Some(path),
            }
        }),
        (Value::Array(said), Value::Array(read)) => said
            .iter()
            .zip(read)
            .enumerate()
            .find_map(|(index, (said, read))| unknown(&format!("{path}[{index}]"), said, read)),
        _ => None,
    }
}
