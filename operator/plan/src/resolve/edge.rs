//! Load balancers for HTTP: those of a Storefront, and further ways to a workload.

use std::collections::BTreeMap;

use shopkeeper_api::{
    Toggle, defaults,
    storefront::{GatewayReference, LoadBalancer as Settings, PathType, Tls, TlsType},
};

use super::{Context, HealthCheck, LoadBalancerGroup, Referred};
use crate::{
    failure::{Class, Failure},
    kubernetes::http_route,
};

/// A load balancer: one Ingress for the AWS Load Balancer Controller.
#[derive(Clone, Debug)]
pub struct LoadBalancer {
    /// Name of the Ingress.
    pub name: String,
    /// Role in the Storefront: `edge`, or `frontends.back-office.edge`.
    pub role: String,
    /// Whether the internet reaches it.
    pub public: bool,
    /// Host names; empty for any.
    pub hosts: Vec<String>,
    /// Rules, in the order of the specification; the controller puts exact paths and longer prefixes first.
    pub rules: Vec<Rule<Referred<Backend>>>,
    /// Certificates and ports.
    pub tls: ResolvedTls,
    /// Settings.
    pub settings: ResolvedSettings,
    /// Gateways that serve it in place of a load balancer of its own.
    pub gateways: Vec<GatewayReference>,
    /// Whose the Ingress is, where no Gateway serves it.
    pub class: IngressClass,
    /// Annotations of the user.
    pub annotations: BTreeMap<String, String>,
    /// What it asks of the pods, where all of its rules lead to one workload; else each Service says its own.
    pub health: Option<HealthCheck>,
    /// The group that it shares a load balancer with.
    pub group: Option<LoadBalancerGroup>,
}

/// Whose controller serves an Ingress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngressClass {
    /// The AWS Load Balancer Controller.
    Alb,
    /// Somebody else's, whose settings are annotations of the user.
    Other {
        /// Name of the class.
        name: String,
        /// Secret with the certificate of the hosts.
        secret_name: Option<String>,
    },
}

/// A path and where it leads.
#[derive(Clone, Debug)]
pub struct Rule<T = Backend> {
    /// The path.
    pub path: String,
    /// Whether only the path itself matches.
    pub exact: bool,
    /// Where it leads.
    pub backend: T,
}

/// A port of a Service in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The Service.
    pub service: String,
    /// Number of the port.
    pub port: i32,
}

/// TLS of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolvedTls {
    /// Plain HTTP.
    None,
    /// Certificates that match the hosts, found by the controller.
    Discovered {
        /// Versions and ciphers.
        policy: String,
    },
    /// These certificates.
    Existing {
        /// Their ARNs.
        certificate_arns: Vec<String>,
        /// Versions and ciphers.
        policy: String,
    },
}

/// Settings of a load balancer, defaults applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedSettings {
    /// Attributes of the load balancer by AWS's names, in order.
    pub attributes: BTreeMap<String, String>,
    /// Seconds a pod that ends still gets answers through.
    pub deregistration_delay_seconds: i32,
    /// ARN of the web ACL.
    pub waf_acl_arn: Option<String>,
}

/// Rules of an Application Load Balancer, without the default ones.
pub(super) const MOST_RULES: usize = 100;
/// Attributes that have a field.
pub(super) const IDLE_TIMEOUT: &str = "idle_timeout.timeout_seconds";
pub(super) const DELETION_PROTECTION: &str = "deletion_protection.enabled";

impl LoadBalancer {
    /// Whether the AWS Load Balancer Controller makes it from an Ingress.
    #[must_use]
    pub fn is_of_aws(&self) -> bool {
        self.gateways.is_empty() && self.class == IngressClass::Alb
    }

    /// Refuses certificates and a web ACL that the load balancer cannot have. `field` is that of what has `tls` and `loadBalancer`.
    pub(super) fn check_arns(&self, context: Context<'_>, field: &str) -> Result<(), Failure> {
        if !self.is_of_aws() {
            return Ok(());
        }
        let platform = context.platform;
        if let ResolvedTls::Existing {
            certificate_arns, ..
        } = &self.tls
        {
            for arn in certificate_arns {
                let (region, account) = place_of(arn);
                if (region, account) != (&platform.region, &platform.account_id) {
                    return Err(Failure::invalid(
                        &format!("{field}.tls.existing.certificateArns"),
                        &format!(
                            "{arn} is of account {account} in {region}, and a load balancer has certificates of its own account and \
                             region alone, for Platform {} {} in {}",
                            platform.name, platform.account_id, platform.region
                        ),
                        "name a certificate that ACM has there, or set tls.type to Discovered",
                    ));
                }
            }
        }
        match &self.settings.waf_acl_arn {
            Some(arn) if place_of(arn).0 != platform.region => Err(Failure::invalid(
                &format!("{field}.loadBalancer.wafAclArn"),
                &format!(
                    "{arn} is of {}, and a load balancer has a web ACL of its own region alone, for Platform {} {}",
                    place_of(arn).0,
                    platform.name,
                    platform.region
                ),
                "name a web ACL of that region, or leave it out",
            )),
            _ => Ok(()),
        }
    }

    /// Refuses what the controller could only fail at, with the load balancer half made. The schema says the same of what is
    /// written today; a Storefront may be older than the schema.
    /// `field` is that of the rules, `of` what has a load balancer of its own.
    pub(super) fn within_limits(self, field: &str, of: &str) -> Result<Self, Failure> {
        let leading: Vec<Rule> = self
            .rules
            .iter()
            .filter_map(|rule| Some(rule.to(rule.backend.clone().ok()?)))
            .collect();
        let grouped = http_route::grouped(&leading).len();
        if !self.gateways.is_empty() && grouped > http_route::MOST_RULES {
            return Err(Failure::invalid(
                field,
                &format!(
                    "lead to {grouped} places, and an HTTPRoute takes {}",
                    http_route::MOST_RULES
                ),
                &format!("make another {of} for some of them, which has an HTTPRoute of its own"),
            ));
        }
        let hosts = self.hosts.len().max(1);
        let rules = self.rules.len() * hosts;
        if self.is_of_aws() && rules > MOST_RULES {
            return Err(Failure::invalid(
                field,
                &format!(
                    "{} routes for {hosts} hosts are {rules} rules, and an Application Load Balancer takes {MOST_RULES}",
                    self.rules.len()
                ),
                &format!(
                    "let one host with a wildcard stand for several, or make another {of}, which has a load balancer of its own"
                ),
            ));
        }
        let mut matched = BTreeMap::new();
        for rule in &self.rules {
            if let Some(other) = matched.insert(rule.matches(), &rule.path) {
                return Err(Failure::invalid(
                    &format!("{field}[{}]", rule.path),
                    &format!("matches the same requests as {field}[{other}]"),
                    "take one of them out",
                ));
            }
        }
        Ok(self)
    }
}

/// The region and the account of an ARN.
fn place_of(arn: &str) -> (&str, &str) {
    let mut parts = arn.split(':').skip(3);
    let region = parts.next().unwrap_or_default();
    (region, parts.next().unwrap_or_default())
}

impl<T> Rule<T> {
    /// The same path, led somewhere.
    pub(crate) fn to(&self, backend: Backend) -> Rule {
        Rule {
            path: self.path.clone(),
            exact: self.exact,
            backend,
        }
    }

    /// What it matches. A slash at the end of a prefix says nothing: Kubernetes compares paths part by part.
    fn matches(&self) -> (bool, &str) {
        if self.exact {
            (true, &self.path)
        } else {
            (false, self.path.trim_end_matches('/'))
        }
    }
}

/// A cluster without the Gateway API would take a load balancer away and give nothing for it.
pub(super) fn check_gateways(context: Context<'_>, field: &str, or: &str) -> Result<(), Failure> {
    if context.references.http_routes {
        return Ok(());
    }
    Err(Failure::new(
        Class::NotReady,
        format!("{field}: the cluster has no kind HTTPRoute (gateway.networking.k8s.io/v1)"),
    )
    .with_remedy(format!(
        "install the Gateway API and a controller for it, or {or}"
    )))
}

pub(super) fn tls(declared: Option<&Tls>) -> ResolvedTls {
    let policy = declared
        .and_then(|tls| tls.policy.clone())
        .unwrap_or_else(|| defaults::TLS_POLICY.to_owned());
    match declared.map(|tls| (tls.type_, tls.existing.as_ref())) {
        Some((TlsType::None, _)) => ResolvedTls::None,
        Some((TlsType::Existing, Some(existing))) => ResolvedTls::Existing {
            certificate_arns: existing.certificate_arns.clone(),
            policy,
        },
        _ => ResolvedTls::Discovered { policy },
    }
}

/// Without host names no certificate can be discovered.
pub(super) fn without_hosts(tls: ResolvedTls) -> ResolvedTls {
    match tls {
        ResolvedTls::Discovered { .. } => ResolvedTls::None,
        tls => tls,
    }
}

pub(super) fn settings(declared: Option<&Settings>) -> ResolvedSettings {
    let mut attributes = declared
        .map(|settings| settings.attributes.clone())
        .unwrap_or_default();
    let idle = declared
        .and_then(|settings| settings.idle_timeout_seconds)
        .unwrap_or(defaults::IDLE_TIMEOUT_SECONDS);
    attributes.insert(IDLE_TIMEOUT.to_owned(), idle.to_string());
    let protected = declared
        .and_then(|settings| settings.deletion_protection)
        .is_some_and(Toggle::is_enabled);
    attributes.insert(DELETION_PROTECTION.to_owned(), protected.to_string());
    // A header that is no header is how requests are smuggled past a proxy.
    attributes
        .entry("routing.http.drop_invalid_header_fields.enabled".to_owned())
        .or_insert_with(|| "true".to_owned());
    ResolvedSettings {
        attributes,
        deregistration_delay_seconds: declared
            .and_then(|settings| settings.deregistration_delay_seconds)
            .unwrap_or(defaults::DEREGISTRATION_DELAY_SECONDS),
        waf_acl_arn: declared.and_then(|settings| settings.waf_acl_arn.clone()),
    }
}

pub(super) fn is_exact(declared: Option<PathType>) -> bool {
    declared == Some(PathType::Exact)
}
