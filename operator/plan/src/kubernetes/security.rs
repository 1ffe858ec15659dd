//! Security settings of pods and containers: those that are declared, and a safe default for each that is not. Field by field,
//! since a container that asks for one capability means to keep its read-only root file system.

use k8s_openapi::api::core::v1::{PodSecurityContext, SeccompProfile, SecurityContext};
use serde_json::{Value, json};
use shopkeeper_api::defaults;

/// Settings of a pod. The groups follow the user, since images give both the same number.
///
/// Two declarations rule defaults out: user 0 is not `runAsNonRoot`, and `runAsNonRoot: false` without a user leaves the
/// user and the groups to the image.
pub fn of_pod(declared: Option<&PodSecurityContext>) -> Value {
    let mut context = declared.cloned().unwrap_or_default();
    if context.run_as_user.is_some() || context.run_as_non_root != Some(false) {
        let user = *context.run_as_user.get_or_insert(defaults::RUN_AS_USER);
        context.run_as_group.get_or_insert(user);
        context.fs_group.get_or_insert(user);
        if user != 0 {
            context.run_as_non_root.get_or_insert(true);
        }
    }
    context
        .seccomp_profile
        .get_or_insert_with(|| SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        });
    json!(context)
}

/// Settings of a container.
pub fn of_container(declared: Option<&SecurityContext>) -> Value {
    let mut context = declared.cloned().unwrap_or_default();
    let capabilities = context.capabilities.get_or_insert_default();
    capabilities
        .drop
        .get_or_insert_with(|| vec!["ALL".to_owned()]);
    // The API server refuses a container that is to have more rights and not to get any.
    let is_admin = capabilities
        .add
        .iter()
        .flatten()
        .any(|capability| capability == "CAP_SYS_ADMIN");
    if context.privileged != Some(true) && !is_admin {
        context.allow_privilege_escalation.get_or_insert(false);
    }
    context.read_only_root_filesystem.get_or_insert(true);
    json!(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(declared: Value) -> Value {
        of_pod(Some(&serde_json::from_value(declared).unwrap()))
    }

    fn container(declared: Value) -> Value {
        of_container(Some(&serde_json::from_value(declared).unwrap()))
    }

    #[test]
    fn what_is_left_out_of_a_pod_keeps_its_default() {
        let defaults = json!({
            "runAsNonRoot": true, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        });
        assert_eq!(of_pod(None), defaults);
        assert_eq!(pod(json!({})), defaults);
        assert_eq!(
            pod(
                json!({"runAsUser": 65532, "fsGroup": 2000, "seccompProfile": {"type": "Unconfined"}})
            ),
            json!({
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 2000,
                "seccompProfile": {"type": "Unconfined"},
            })
        );
    }

    #[test]
    fn root_is_what_somebody_asked_for() {
        let root = pod(json!({"runAsUser": 0}));
        assert_eq!(root["runAsNonRoot"], Value::Null);
        assert_eq!(root["runAsGroup"], 0);
        let of_the_image = pod(json!({"runAsNonRoot": false}));
        assert_eq!(
            of_the_image,
            json!({"runAsNonRoot": false, "seccompProfile": {"type": "RuntimeDefault"}})
        );
        // Refused by the kubelet, as it is written.
        assert_eq!(
            pod(json!({"runAsUser": 0, "runAsNonRoot": true}))["runAsNonRoot"],
            true
        );
    }

    #[test]
    fn what_is_left_out_of_a_container_keeps_its_default() {
        let defaults = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
        assert_eq!(of_container(None), defaults);
        assert_eq!(container(json!({})), defaults);
        assert_eq!(
            container(json!({"capabilities": {"add": ["NET_BIND_SERVICE"]}})),
            json!({
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            })
        );
        assert_eq!(
            container(
                json!({"readOnlyRootFilesystem": false, "allowPrivilegeEscalation": true, "capabilities": {"drop": []}})
            ),
            json!({"readOnlyRootFilesystem": false, "allowPrivilegeEscalation": true, "capabilities": {"drop": []}})
        );
    }

    #[test]
    fn no_default_contradicts_what_is_declared() {
        for declared in [
            json!({"privileged": true}),
            json!({"capabilities": {"add": ["CAP_SYS_ADMIN"]}}),
        ] {
            assert_eq!(
                container(declared.clone())["allowPrivilegeEscalation"],
                Value::Null,
                "{declared}"
            );
        }
        assert_eq!(
            container(json!({"privileged": false}))["allowPrivilegeEscalation"],
            false
        );
    }
}
