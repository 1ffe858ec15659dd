//! An S3 bucket for media.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Toggle, pattern};

/// A private S3 bucket for images and files, encrypted with the Platform's key, whose objects move to the archive when nobody
/// reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.deepArchiveAfterInactiveDays) || self.deepArchiveAfterInactiveDays > (has(self.archiveAfterInactiveDays) ? self.archiveAfterInactiveDays : 180)")
    .message("deepArchiveAfterInactiveDays must be more than archiveAfterInactiveDays (180 when left out)"),
    validation = Rule::new("has(self.bucketName) == has(oldSelf.bucketName) && (!has(self.bucketName) || self.bucketName == oldSelf.bucketName)")
        .message("bucketName is immutable: a bucket cannot be renamed"),
    validation = Rule::new("!has(self.bucketName) || !(self.bucketName.contains('..') || self.bucketName.matches('^[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+$'))")
        .message("bucketName must not have two dots in a row, nor look like an IP address, which S3 refuses: use letters and hyphens"),
    validation = Rule::new("!has(self.bucketName) || !self.bucketName.matches('^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|[.]mrap|--x-s3|--table-s3)$')")
        .message("bucketName must not begin with xn--, sthree- or amzn-s3-demo-, nor end in -s3alias, --ol-s3, .mrap, --x-s3 or --table-s3, which S3 keeps for itself: choose another name")
)]
pub struct Media {
    /// Name of the bucket. Immutable. Default: `<account>-<region>-<platform>-<namespace>-<name>-media`, which is unique in the world,
    /// with a hash for its end where that is too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 3, max = 63),
        regex(pattern = r"^[a-z0-9][a-z0-9.-]+[a-z0-9]$")
    )]
    pub bucket_name: Option<String>,
    /// Days without access after which an object moves to the archive (S3 Intelligent-Tiering Archive Access), from which it must
    /// be restored before reading. Default: 180.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 90, max = 730))]
    pub archive_after_inactive_days: Option<i32>,
    /// Days without access after which an object moves on to the deep archive. Left out: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 180, max = 730))]
    pub deep_archive_after_inactive_days: Option<i32>,
    /// Keeps what was overwritten or deleted. Default: Enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versioning: Option<Toggle>,
    /// Days that overwritten and deleted versions are kept. Default: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3650))]
    pub noncurrent_version_days: Option<i32>,
    /// Web pages that may use the bucket from a browser. Left out: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub cors: Vec<CorsRule>,
    /// ARNs of CloudFront distributions that may read the objects, by their origin access control: distributions of the Platform's
    /// account, whose origin is the bucket's regional domain name. The key that a Platform makes decrypts for them; the policy of one that
    /// is brought along (`encryption.existing`) has to let `cloudfront.amazonaws.com` use `kms:Decrypt`. Left out: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 20, max = 128), regex(pattern = pattern::DISTRIBUTION_ARN)), extend("x-kubernetes-list-type" = "set"))]
    pub cloud_front_distribution_arns: Vec<String>,
}

/// Web pages that may use a bucket from a browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CorsRule {
    /// Origins, such as `https://www.octank.example`.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 256)))]
    pub allowed_origins: Vec<String>,
    /// Methods. Default: GET and HEAD.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "set"))]
    pub allowed_methods: Vec<CorsMethod>,
    /// Headers that a request may carry. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 128)))]
    pub allowed_headers: Vec<String>,
    /// How long a browser may remember the answer, in seconds. Default: 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub max_age_seconds: Option<i32>,
}

/// Methods of cross-origin requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum CorsMethod {
    /// Read.
    GET,
    /// Read the headers.
    HEAD,
    /// Write.
    PUT,
    /// Upload from a form.
    POST,
    /// Delete.
    DELETE,
}

impl CorsMethod {
    /// The method as HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            CorsMethod::GET => "GET",
            CorsMethod::HEAD => "HEAD",
            CorsMethod::PUT => "PUT",
            CorsMethod::POST => "POST",
            CorsMethod::DELETE => "DELETE",
        }
    }
}
