//! Who may call a service.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{
    pattern,
    reference::{FrontendReference, ServiceReference},
};

// `namespace` is a reserved word in CEL: written plainly, the rule compiles and never sees the field.
/// Someone who may open connections to the service. Exactly one of its members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.service), has(self.frontend), has(self.__namespace__), has(self.cidr)].filter(x, x).size() == 1")
    .message("set exactly one of service, frontend, namespace or cidr; write one list item for each caller"))]
pub struct Caller {
    /// A service of the shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceReference>,
    /// A frontend of a Storefront.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontend: Option<FrontendReference>,
    /// Every pod of a namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = pattern::LABEL))]
    pub namespace: Option<String>,
    /// Addresses outside the cluster, as a network in CIDR notation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 4, max = 49), regex(pattern = pattern::CIDR))]
    #[x_kube(validation = Rule::new("isCIDR(self)").message("cidr must be a network such as 10.20.0.0/16"))]
    pub cidr: Option<String>,
}
