//! How the application sends traces.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pattern;

/// How the application sends traces, with OpenTelemetry. `OTEL_SERVICE_NAME` is set to the name of the workload, by which the
/// traces are found; variables of the same name in `env` win.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.inject) || has(self.endpoint)")
    .message("set inject, endpoint or both: nothing else says where traces go"))]
pub struct Tracing {
    /// What the OpenTelemetry Operator adds to the pods when they start. It has to be installed. Left out: nothing, the application
    /// brings its own instrumentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inject: Option<Injection>,
    /// URL of the collector, for `OTEL_EXPORTER_OTLP_ENDPOINT`, such as `http://collector.observability:4317`. Default: what the
    /// Instrumentation says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 1024), regex(pattern = pattern::HTTP_URL))]
    pub endpoint: Option<String>,
}

/// What the OpenTelemetry Operator adds to the pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Injection {
    /// Language of the application, or `SDK` for one that has the instrumentation and needs only its settings.
    pub language: InjectionLanguage,
    /// The Instrumentation with the settings. Default: the only one in the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrumentation: Option<InstrumentationReference>,
}

/// Language of an instrumentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::without_description)]
pub enum InjectionLanguage {
    /// Only settings, as variables.
    SDK,
    /// Java.
    Java,
    /// Node.js.
    NodeJS,
    /// Python.
    Python,
    /// .NET.
    DotNet,
    /// Go. The annotation `instrumentation.opentelemetry.io/otel-go-auto-target-exe` has to name the executable.
    Go,
    /// The web server of Apache.
    ApacheHttpd,
    /// The web server nginx.
    Nginx,
}

impl InjectionLanguage {
    /// The language as the annotation of the OpenTelemetry Operator ends.
    pub fn as_str(self) -> &'static str {
        match self {
            InjectionLanguage::SDK => "sdk",
            InjectionLanguage::Java => "java",
            InjectionLanguage::NodeJS => "nodejs",
            InjectionLanguage::Python => "python",
            InjectionLanguage::DotNet => "dotnet",
            InjectionLanguage::Go => "go",
            InjectionLanguage::ApacheHttpd => "apache-httpd",
            InjectionLanguage::Nginx => "nginx",
        }
    }
}

/// Names an Instrumentation of the OpenTelemetry Operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstrumentationReference {
    /// Name of the Instrumentation.
    #[schemars(length(min = 1, max = 253), regex(pattern = pattern::SUBDOMAIN))]
    pub name: String,
    /// Its namespace. Default: that of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub namespace: Option<String>,
}
