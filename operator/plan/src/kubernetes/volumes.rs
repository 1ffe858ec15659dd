//! Volumes of a pod, and where they are mounted.

use serde_json::{Value, json};
use shopkeeper_api::{
    Toggle, defaults,
    volume::{
        AccessMode, ClaimTemplate, Csi, DownwardFile, DownwardItems, EmptyDir, Files, FilesFrom,
        KeyToPath, Medium, ProjectedSource, Volume,
    },
    workload::Workload,
};

/// Name of the volume for /tmp.
const TMP_VOLUME: &str = "shopkeeper-tmp";

fn has_tmp(workload: &Workload) -> bool {
    let on = workload
        .tmp_dir
        .as_ref()
        .and_then(|tmp| tmp.mode)
        .is_none_or(Toggle::is_enabled);
    on && !workload
        .volume_mounts
        .iter()
        .any(|mount| mount.mount_path == "/tmp")
}

/// Where they are mounted in the main container.
pub(super) fn mounts(workload: &Workload) -> Vec<Value> {
    let tmp = has_tmp(workload).then(|| json!({"name": TMP_VOLUME, "mountPath": "/tmp"}));
    tmp.into_iter()
        .chain(workload.volume_mounts.iter().map(|mount| json!(mount)))
        .collect()
}

/// The volumes of a pod. `main` is the name of its main container.
pub(super) fn of_pod(workload: &Workload, main: &str) -> Vec<Value> {
    let tmp = has_tmp(workload).then(|| {
        let limit = workload
            .tmp_dir
            .as_ref()
            .and_then(|tmp| tmp.size_limit.clone())
            .map_or_else(|| json!(defaults::TMP_SIZE_LIMIT), |limit| json!(limit));
        json!({"name": TMP_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": limit}})
    });
    tmp.into_iter()
        .chain(
            workload
                .volumes
                .iter()
                .map(|declared| volume(declared, main)),
        )
        .collect()
}

fn volume(declared: &Volume, main: &str) -> Value {
    let mut volume = json!({"name": declared.name});
    if let Some(directory) = &declared.empty_dir {
        volume["emptyDir"] = empty_dir(directory);
    } else if let Some(declared) = &declared.config_map {
        volume["configMap"] = files(declared, "name");
    } else if let Some(declared) = &declared.secret {
        volume["secret"] = files(declared, "secretName");
    } else if let Some(declared) = &declared.projected {
        let sources = declared
            .sources
            .iter()
            .map(|source| projected(source, main));
        volume["projected"] = json!({"sources": sources.collect::<Vec<_>>()});
        set(
            &mut volume["projected"],
            "defaultMode",
            declared.default_mode,
        );
    } else if let Some(declared) = &declared.downward_api {
        volume["downwardAPI"] = json!({"items": downward(&declared.items, main)});
        set(
            &mut volume["downwardAPI"],
            "defaultMode",
            declared.default_mode,
        );
    } else if let Some(claim) = &declared.persistent_volume_claim {
        volume["persistentVolumeClaim"] = json!({"claimName": claim.claim_name});
        set_true(
            &mut volume["persistentVolumeClaim"],
            "readOnly",
            claim.read_only,
        );
    } else if let Some(declared) = &declared.ephemeral {
        volume["ephemeral"] =
            json!({"volumeClaimTemplate": claim_template(&declared.volume_claim_template)});
    } else if let Some(declared) = &declared.csi {
        volume["csi"] = csi(declared);
    } else if let Some(nfs) = &declared.nfs {
        volume["nfs"] = json!({"server": nfs.server, "path": nfs.path});
        set_true(&mut volume["nfs"], "readOnly", nfs.read_only);
    }
    volume
}

fn set<T: Into<Value>>(target: &mut Value, member: &str, value: Option<T>) {
    if let Some(value) = value {
        target[member] = value.into();
    }
}

/// The API server leaves out what is false.
fn set_true(target: &mut Value, member: &str, value: Option<bool>) {
    set(target, member, value.filter(|value| *value));
}

fn empty_dir(declared: &EmptyDir) -> Value {
    let mut directory = json!({});
    if declared.medium == Some(Medium::Memory) {
        directory["medium"] = json!("Memory");
    }
    if let Some(limit) = &declared.size_limit {
        directory["sizeLimit"] = json!(limit);
    }
    directory
}

fn files(declared: &Files, name_member: &str) -> Value {
    let mut source = files_from(&declared.from, name_member);
    set(&mut source, "defaultMode", declared.default_mode);
    source
}

fn files_from(declared: &FilesFrom, name_member: &str) -> Value {
    let mut source = json!({name_member: declared.name});
    if !declared.items.is_empty() {
        source["items"] = declared.items.iter().map(key_to_path).collect();
    }
    set_true(&mut source, "optional", declared.optional);
    source
}

fn key_to_path(declared: &KeyToPath) -> Value {
    let mut file = json!({"key": declared.key, "path": declared.path});
    set(&mut file, "mode", declared.mode);
    file
}

/// A source of a projected volume. Here a Secret is named as a ConfigMap is.
fn projected(declared: &ProjectedSource, main: &str) -> Value {
    if let Some(files) = &declared.config_map {
        json!({"configMap": files_from(files, "name")})
    } else if let Some(files) = &declared.secret {
        json!({"secret": files_from(files, "name")})
    } else if let Some(items) = &declared.downward_api {
        json!({"downwardAPI": {"items": downward(items, main)}})
    } else if let Some(declared) = &declared.service_account_token {
        let mut token = json!({"path": declared.path});
        set(&mut token, "audience", declared.audience.clone());
        set(&mut token, "expirationSeconds", declared.expiration_seconds);
        json!({"serviceAccountToken": token})
    } else {
        json!({})
    }
}

fn downward(declared: &DownwardItems, main: &str) -> Vec<Value> {
    declared
        .items
        .iter()
        .map(|file| downward_file(file, main))
        .collect()
}

fn downward_file(declared: &DownwardFile, main: &str) -> Value {
    let mut file = json!({"path": declared.path});
    if let Some(field) = &declared.field_ref {
        file["fieldRef"] = json!({"fieldPath": field.field_path});
    } else if let Some(field) = &declared.resource_field_ref {
        let container = field.container_name.as_deref().unwrap_or(main);
        file["resourceFieldRef"] = json!({"containerName": container, "resource": field.resource});
        if let Some(divisor) = &field.divisor {
            file["resourceFieldRef"]["divisor"] = json!(divisor);
        }
    }
    set(&mut file, "mode", declared.mode);
    file
}

fn claim_template(declared: &ClaimTemplate) -> Value {
    let modes: Vec<&str> = declared
        .spec
        .access_modes
        .iter()
        .map(|mode| access_mode(*mode))
        .collect();
    let modes = if modes.is_empty() {
        vec![defaults::ACCESS_MODE]
    } else {
        modes
    };
    let mut template = json!({"spec": {
        "accessModes": modes,
        "resources": {"requests": {"storage": declared.spec.resources.requests.storage}},
    }});
    set(
        &mut template["spec"],
        "storageClassName",
        declared.spec.storage_class_name.clone(),
    );
    if let Some(metadata) = &declared.metadata {
        template["metadata"] = json!(metadata);
    }
    template
}

fn access_mode(mode: AccessMode) -> &'static str {
    match mode {
        AccessMode::ReadWriteOnce => "ReadWriteOnce",
        AccessMode::ReadWriteOncePod => "ReadWriteOncePod",
        AccessMode::ReadOnlyMany => "ReadOnlyMany",
        AccessMode::ReadWriteMany => "ReadWriteMany",
    }
}

fn csi(declared: &Csi) -> Value {
    let mut volume = json!({"driver": declared.driver});
    set_true(&mut volume, "readOnly", declared.read_only);
    set(&mut volume, "fsType", declared.fs_type.clone());
    if !declared.volume_attributes.is_empty() {
        volume["volumeAttributes"] = json!(declared.volume_attributes);
    }
    if let Some(secret) = &declared.node_publish_secret_ref {
        volume["nodePublishSecretRef"] = json!({"name": secret.name});
    }
    volume
}
