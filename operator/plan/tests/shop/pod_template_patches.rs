//! Patches of the pod template: what they do to the pods, and which are refused.

use serde_json::{Value, json};
use shopkeeper_api::{CatalogService, Storefront};
use shopkeeper_plan::{
    failure::{Class, Failure},
    plan::Effect,
    planner::ChangePolicy,
};

use crate::{
    fixture::{read, resolve},
    workload::{after, catalog, pod},
    world::gravest,
};

fn patched(patch: Value) -> Value {
    json!({"podTemplatePatch": patch})
}

#[test]
fn a_patch_comes_last_and_its_withdrawal_takes_it_back() {
    let plain = pod(json!({}));
    let patch = patched(json!({"spec": {
        "runtimeClassName": "gvisor",
        "topologySpreadConstraints": null,
        "containers": [{"name": "catalog", "workingDir": "/srv", "securityContext": {"runAsUser": 5}}],
        "volumes": [{"name": "shopkeeper-tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
    }}));
    let made = pod(patch.clone());
    let mut expected = plain;
    expected["spec"]["runtimeClassName"] = json!("gvisor");
    expected["spec"]
        .as_object_mut()
        .unwrap()
        .remove("topologySpreadConstraints");
    expected["spec"]["containers"][0]["workingDir"] = json!("/srv");
    expected["spec"]["containers"][0]["securityContext"]["runAsUser"] = json!(5);
    expected["spec"]["volumes"][0]["emptyDir"]["sizeLimit"] = json!("1Gi");
    assert_eq!(made, expected);

    let (mut world, plan) = after(patch, json!({}));
    assert_eq!(gravest(&plan), Effect::Rolling);
    world.policies.changes = ChangePolicy::Automatic;
    assert!(world.run().is_empty());
}

#[test]
fn a_patch_that_is_none_or_reaches_too_far_is_refused() {
    let refused = |patch: Value| -> Failure {
        resolve::<CatalogService>("minimal", &catalog(patched(patch.clone())))
            .map(|_| ())
            .expect_err(&patch.to_string())
    };
    let container = |members: Value| {
        let mut container = json!({"name": "catalog"});
        container
            .as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        json!({"spec": {"containers": [container]}})
    };
    let cases = [
        (
            json!({"template": {}}),
            "",
            "template is no member",
            "metadata, spec",
        ),
        (
            json!({"spec": {"contaners": []}}),
            ".spec.contaners",
            "no field of a pod template",
            "correct the name",
        ),
        (
            container(json!({"imagePullPolcy": "Always"})),
            ".spec.containers[0].imagePullPolcy",
            "no field",
            "correct the name",
        ),
        (
            container(json!({"ports": [{"containerPort": "http"}]})),
            ".spec.containers[0].ports[0].containerPort",
            "expected",
            "form of a pod template",
        ),
        (
            json!({"spec": {"containers": [{"image": "proxy:1"}]}}),
            ".spec.containers[0]",
            "name is missing",
            "add it",
        ),
        (
            json!({"spec": {"containers": [{"name": "catalog", "$patch": "remove"}]}}),
            ".spec.containers[0].$patch",
            "no directive",
            "delete, replace or merge",
        ),
        (
            json!({"spec": {"$setElementOrder/containers": []}}),
            ".spec.$setElementOrder/containers",
            "no directive",
            "$retainKeys",
        ),
        (
            json!({"spec": {"containers": [{"name": "proxy", "$patch": "replace"}]}}),
            ".spec.containers[0]",
            "stands alone",
            "member of its own",
        ),
        (
            json!({"metadata": {"labels": {"app.kubernetes.io/name": "other"}}}),
            ".metadata.labels[app.kubernetes.io/name]",
            "selected by it",
            "leave it out",
        ),
        (
            json!({"metadata": {"labels": {"app.kubernetes.io/instance": null}}}),
            ".metadata.labels[app.kubernetes.io/instance]",
            "selected by it",
            "leave it out",
        ),
        (
            json!({"metadata": {"labels": null}}),
            ".metadata.labels[",
            "selected by it",
            "leave it out",
        ),
        (
            json!({"metadata": {"annotations": null}}),
            ".metadata.annotations",
            "of its own",
            "single ones",
        ),
        (
            json!({"metadata": {"annotations": {"$patch": "replace"}}}),
            ".metadata.annotations",
            "of its own",
            "single ones",
        ),
        (
            json!({"metadata": {"$retainKeys": ["labels"]}}),
            ".metadata.",
            "of its own",
            "single ones",
        ),
        (
            json!({"metadata": {"annotations": {"shopkeeper.dev/bindings-hash": "1"}}}),
            ".metadata.annotations[shopkeeper.dev/bindings-hash]",
            "Shopkeeper's own",
            "leave it out",
        ),
        (
            json!({"metadata": {"name": "catalog"}}),
            ".metadata.name",
            "ReplicaSet",
            "labels and annotations",
        ),
        (
            json!({"spec": {"serviceAccountName": "admin"}}),
            ".spec.serviceAccountName",
            "identity",
            "workload.serviceAccountName",
        ),
        (
            json!({"spec": {"serviceAccount": "admin"}}),
            ".spec.serviceAccount",
            "identity",
            "workload.serviceAccountName",
        ),
        (
            json!({"spec": {"$patch": "replace"}}),
            ".spec.serviceAccountName",
            "identity",
            "workload.serviceAccountName",
        ),
        (
            json!({"spec": {"nodeSelector": {"eks.amazonaws.com/nodegroup": "other"}}}),
            ".spec.nodeSelector[eks.amazonaws.com/nodegroup]",
            "to their nodes",
            "spec.nodes",
        ),
        (
            json!({"spec": {"containers": [{"name": "catalog", "$patch": "delete"}]}}),
            ".spec.containers[catalog]",
            "main container",
            "leave the container",
        ),
        (
            json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "other", "image": "other:1"}]}}),
            ".spec.containers[catalog]",
            "main container",
            "leave the container",
        ),
        (
            container(json!({"ports": [{"containerPort": 8080, "name": "web"}]})),
            ".spec.containers[catalog].ports[8080]",
            "the Service finds",
            "workload.ports",
        ),
        (
            container(json!({"ports": null})),
            ".spec.containers[catalog].ports[8080]",
            "the Service finds",
            "workload.ports",
        ),
    ];
    for (patch, path, problem, remedy) in cases {
        let failure = refused(patch.clone());
        assert_eq!(failure.class, Class::Invalid, "{failure}");
        let field = format!("spec.workload.podTemplatePatch{path}");
        assert!(failure.message.starts_with(&field), "{patch}: {failure}");
        assert!(failure.message.contains(problem), "{patch}: {failure}");
        assert!(failure.remedy.contains(remedy), "{patch}: {failure:?}");
    }
    let of_a_frontend = {
        let mut storefront = read("octank", "storefront");
        storefront["spec"]["frontends"][0]["workload"]["podTemplatePatch"] =
            json!({"spec": {"serviceAccountName": "admin"}});
        resolve::<Storefront>("octank", &storefront)
            .map(|_| ())
            .unwrap_err()
    };
    assert!(
        of_a_frontend
            .message
            .starts_with("spec.frontends[web].workload.podTemplatePatch.spec.serviceAccountName"),
        "{of_a_frontend}"
    );
}

#[test]
fn pods_on_nodes_of_their_own_keep_what_brings_them_there() {
    let with = |patch: Value| {
        let mut object = read("octank", "catalog");
        object["spec"]["workload"]["podTemplatePatch"] = patch;
        resolve::<CatalogService>("octank", &object).map(|_| ())
    };
    let of_tolerations =
        with(json!({"spec": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}})).unwrap_err();
    assert!(
        of_tolerations.message.contains(".spec.tolerations")
            && of_tolerations.remedy.contains("workload.tolerations"),
        "{of_tolerations:?}"
    );
    let of_nodes = with(json!({"spec": {"nodeSelector": null}})).unwrap_err();
    assert!(
        of_nodes
            .message
            .contains(".spec.nodeSelector[shopkeeper.dev/nodes]"),
        "{of_nodes}"
    );
    with(json!({"spec": {"nodeSelector": {"disk": "ssd"}}})).expect("it stands beside ours");
}
