//! Volumes of a pod.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{pattern, schema, workload::SecretReference};

/// A volume of the pod. Exactly one source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.emptyDir), has(self.configMap), has(self.secret), has(self.projected), has(self.downwardAPI), has(self.persistentVolumeClaim), has(self.ephemeral), has(self.csi), has(self.nfs)].filter(x, x).size() == 1")
    .message("set exactly one of emptyDir, configMap, secret, projected, downwardAPI, persistentVolumeClaim, ephemeral, csi or nfs"))]
pub struct Volume {
    /// Name of the volume, used by `volumeMounts`.
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub name: String,
    /// An empty directory that lives as long as the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDir>,
    /// The keys of a ConfigMap as files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<Files>,
    /// The keys of a Secret as files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Files>,
    /// Files from several sources in one directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projected: Option<Projected>,
    /// Fields of the pod as files.
    #[serde(
        rename = "downwardAPI",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub downward_api: Option<DownwardFiles>,
    /// A volume claim that exists, shared by all replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<Claim>,
    /// A volume claim for each pod, made and deleted with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<Ephemeral>,
    /// A volume that a CSI driver makes for each pod, such as secrets from AWS Secrets Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csi: Option<Csi>,
    /// A directory of an NFS server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nfs: Option<Nfs>,
}

/// An empty directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmptyDir {
    /// Where it is kept: `Disk` of the node, or `Memory`, which counts against the container's memory limit. Default: Disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medium: Option<Medium>,
    /// Largest size, as a quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub size_limit: Option<Quantity>,
}

/// Where an empty directory is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum Medium {
    /// On the node's disk.
    Disk,
    /// In memory.
    Memory,
}

/// The keys of a ConfigMap or Secret as files of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Files {
    /// Where they come from.
    #[serde(flatten)]
    pub from: FilesFrom,
    /// Permissions of the files, as a number: YAML reads 0440 as octal. Default: 0644.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 511))]
    pub default_mode: Option<i32>,
}

/// The keys of a ConfigMap or Secret as files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FilesFrom {
    /// Name of the ConfigMap or Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN))]
    pub name: String,
    /// Keys to take and the paths to write them to. Default: every key, under its own name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub items: Vec<KeyToPath>,
    /// Starts the pod even when it is missing. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// One key as a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyToPath {
    /// The key.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
    /// Path of the file, relative to the volume.
    #[schemars(length(min = 1, max = 1024), regex(pattern = pattern::RELATIVE_PATH))]
    pub path: String,
    /// Permissions of the file, as a number. Default: the volume's defaultMode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 511))]
    pub mode: Option<i32>,
}

/// Files from several sources in one directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Projected {
    /// The sources, in order: of two files with one path the later counts.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub sources: Vec<ProjectedSource>,
    /// Permissions of the files, as a number: YAML reads 0440 as octal. Default: 0644.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 511))]
    pub default_mode: Option<i32>,
}

/// A source of a projected volume. Exactly one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.configMap), has(self.secret), has(self.downwardAPI), has(self.serviceAccountToken)].filter(x, x).size() == 1")
    .message("set exactly one of configMap, secret, downwardAPI or serviceAccountToken"))]
pub struct ProjectedSource {
    /// The keys of a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<FilesFrom>,
    /// The keys of a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<FilesFrom>,
    /// Fields of the pod.
    #[serde(
        rename = "downwardAPI",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub downward_api: Option<DownwardItems>,
    /// A token of the ServiceAccount, for those who trust the cluster's issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_token: Option<ServiceAccountToken>,
}

/// A token of the ServiceAccount as a file. The kubelet renews it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountToken {
    /// Whom the token is for. Default: the API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub audience: Option<String>,
    /// How long a token is good, in seconds. Default: 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 600, max = 86400))]
    pub expiration_seconds: Option<i64>,
    /// Path of the file, relative to the volume.
    #[schemars(length(min = 1, max = 1024), regex(pattern = pattern::RELATIVE_PATH))]
    pub path: String,
}

/// Fields of the pod as files of a volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DownwardFiles {
    /// The files.
    #[serde(flatten)]
    pub items: DownwardItems,
    /// Permissions of the files, as a number: YAML reads 0440 as octal. Default: 0644.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 511))]
    pub default_mode: Option<i32>,
}

/// Fields of the pod as files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DownwardItems {
    /// The files.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"]))]
    pub items: Vec<DownwardFile>,
}

/// A field of the pod as a file. Exactly one field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.fieldRef) != has(self.resourceFieldRef)")
    .message("set either fieldRef or resourceFieldRef, not both"))]
pub struct DownwardFile {
    /// Path of the file, relative to the volume.
    #[schemars(length(min = 1, max = 1024), regex(pattern = pattern::RELATIVE_PATH))]
    pub path: String,
    /// Labels, annotations or an identity of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<PodField>,
    /// A request or limit of a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_field_ref: Option<ResourceField>,
    /// Permissions of the file, as a number. Default: the volume's defaultMode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 511))]
    pub mode: Option<i32>,
}

/// A field of the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodField {
    /// The field: `metadata.labels`, `metadata.annotations`, one of them as in `metadata.labels['shop']`, `metadata.name`,
    /// `metadata.namespace` or `metadata.uid`.
    #[schemars(length(min = 1, max = 512), regex(pattern = pattern::POD_FIELD))]
    pub field_path: String,
}

/// A request or limit of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceField {
    /// Name of the container. Default: the main one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub container_name: Option<String>,
    /// The resource, such as `limits.memory` or `requests.cpu`.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^(requests|limits)\.(cpu|memory|ephemeral-storage|hugepages-.+)$")
    )]
    pub resource: String,
    /// Unit that the value is told in, as a quantity. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub divisor: Option<Quantity>,
}

/// A volume claim that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Name of the PersistentVolumeClaim.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN))]
    pub claim_name: String,
    /// Mounts it without writing. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

/// A volume claim for each pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ephemeral {
    /// What the claims are like.
    pub volume_claim_template: ClaimTemplate,
}

/// What the claim of each pod is like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimTemplate {
    /// Labels and annotations of the claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<ClaimMetadata>,
    /// Size and class of the volumes.
    pub spec: ClaimSpec,
}

/// Labels and annotations of a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimMetadata {
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
}

/// Size and class of a volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.accessModes) || !('ReadWriteOncePod' in self.accessModes) || self.accessModes.size() == 1")
    .message("ReadWriteOncePod goes with no other access mode: choose one"))]
pub struct ClaimSpec {
    /// How it can be mounted. Default: ReadWriteOnce.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "set"))]
    pub access_modes: Vec<AccessMode>,
    /// Name of the StorageClass. Default: that of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN))]
    pub storage_class_name: Option<String>,
    /// Its size.
    pub resources: ClaimResources,
}

/// How a volume can be mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum AccessMode {
    /// By the pods of one node.
    ReadWriteOnce,
    /// By one pod.
    ReadWriteOncePod,
    /// By the pods of many nodes, without writing.
    ReadOnlyMany,
    /// By the pods of many nodes.
    ReadWriteMany,
}

/// Size of a volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimResources {
    /// What is asked for.
    pub requests: ClaimRequests,
}

/// What is asked for of a volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRequests {
    /// The size, as a quantity.
    #[schemars(schema_with = "schema::quantity")]
    pub storage: Quantity,
}

/// A volume that a CSI driver makes for each pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Csi {
    /// Name of the driver, such as `secrets-store.csi.k8s.io`.
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::SUBDOMAIN))]
    pub driver: String,
    /// Mounts it without writing. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// File system, such as `ext4`. Default: the driver's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub fs_type: Option<String>,
    /// What the driver wants to know, by its own names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::volume_attributes")]
    pub volume_attributes: BTreeMap<String, String>,
    /// Name of a Secret with credentials for the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_publish_secret_ref: Option<SecretReference>,
}

/// A directory of an NFS server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Nfs {
    /// Host name or address of the server.
    #[schemars(length(min = 1, max = 253))]
    pub server: String,
    /// Path of the directory on the server.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/"))]
    pub path: String,
    /// Mounts it without writing. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}
