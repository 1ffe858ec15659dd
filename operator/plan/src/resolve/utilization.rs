//! What an autoscaler's target in percent is a part of: the requests of all containers. While one of them has none, Kubernetes cannot
//! tell the use of the pods, and never scales by it.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;
use shopkeeper_api::defaults;

use super::{Component, Replicas};
use crate::{
    blueprint::{Remark, Section},
    difference::quantity,
    kubernetes::{bindings::Bound, object::Frame, pod},
    names::Owner,
};

/// Gives the main container the request of CPU that a target needs, and tells of what still has none. A LimitRange of the namespace may
/// give one to the pods, which is not seen here: so nothing is refused.
pub(super) fn complete(owner: &Owner, component: &mut Component, field: &str) {
    let Replicas::Autoscale(range) = &component.replicas else {
        return;
    };
    let targets = [("cpu", range.cpu), ("memory", range.memory)];
    let targets = targets
        .into_iter()
        .filter_map(|(resource, target)| target.map(|_| resource));
    let main = component.name.clone();
    let mut pod = pod_of(owner, component);
    for resource in targets {
        let mut without = containers_without(resource, &pod);
        // How much memory a process takes nobody can guess: too small a request would scale to the most at once.
        if resource == "cpu" && without.contains(&(main.clone(), Request::Absent)) {
            let resources = component.workload.resources.get_or_insert_default();
            let request = defaults::CPU_REQUEST.to_owned();
            resources
                .requests
                .insert(resource.to_owned(), Quantity(request));
            // The patch of the pod template may take it away again.
            pod = pod_of(owner, component);
            without = containers_without(resource, &pod);
        }
        component
            .remarks
            .extend(without.into_iter().map(|(container, _)| {
                let place = if container == main {
                    format!("{field}.workload.resources.requests.{resource}")
                } else {
                    format!("it in {field}.workload.podTemplatePatch")
                };
                Remark {
                    section: Section::Workload,
                    reason: "NothingToScaleBy",
                    text: format!(
                        "{field}.scaling.autoscale.{resource} is in percent of what is requested, and container {container} requests no \
                         {resource}, so that it does not scale by that unless a LimitRange gives one: set {place}, or take the target out"
                    ),
                }
            }));
    }
}

fn pod_of(owner: &Owner, component: &Component) -> Value {
    let frame = Frame {
        owner,
        component: &component.name,
    };
    pod::template(&frame, component, &Bound::default(), &[])["spec"].take()
}

/// Why a container requests nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// Nothing is said of it.
    Absent,
    /// It is none.
    Zero,
}

/// The containers for which nothing of a resource is set aside. A limit counts as a request where there is none, and what is requested
/// for a pod as a whole is enough.
fn containers_without(resource: &str, pod: &Value) -> Vec<(String, Request)> {
    let requested = |resources: &Value| {
        let said = ["requests", "limits"]
            .iter()
            .find_map(|kind| resources[*kind].get(resource));
        let Some(said) = said else {
            return Some(Request::Absent);
        };
        quantity(said)
            .is_some_and(|amount| amount <= 0.0)
            .then_some(Request::Zero)
    };
    if requested(&pod["resources"]).is_none() {
        return Vec::new();
    }
    let list = |member: &str| pod[member].as_array().into_iter().flatten();
    // Containers that run to their end before the others start do not count.
    let sidecars =
        list("initContainers").filter(|container| container["restartPolicy"] == "Always");
    list("containers")
        .chain(sidecars)
        .filter_map(|container| {
            let name = container["name"].as_str().unwrap_or("?");
            Some((name.to_owned(), requested(&container["resources"])?))
        })
        .collect()
}
