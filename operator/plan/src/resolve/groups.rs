//! Groups of load balancers: Ingresses that the AWS Load Balancer Controller makes one load balancer of. Where two of them say something
//! different of it, it stops changing it for all of them, and tells so by its own events alone; and a rule that an earlier one covers is
//! never reached. So both are looked for before an Ingress is written: `docs/decisions/0038-groups-of-load-balancers.md`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use shopkeeper_api::{Storefront, storefront::Exposure};

use super::{
    ResolvedTls,
    edge::{self, MOST_RULES},
};
use crate::{
    claims::Standing,
    failure::Failure,
    kubernetes::ingress::{self, GroupPlace},
};

/// Certificates of an Application Load Balancer: 25 beside the default one.
const MOST_CERTIFICATES: usize = 26;

/// An Ingress of a Storefront that asks to be in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Name of the group.
    pub group: String,
    /// Its place among the members.
    pub order: Option<i32>,
    /// Name of the Ingress.
    pub ingress: String,
    /// What it says of the load balancer that all share, by what it is about.
    says: BTreeMap<String, Said>,
    /// The rules that it adds.
    rules: Vec<Matching>,
    /// The field that the rules follow from.
    rules_field: String,
    /// ARNs of the certificates that it names.
    certificates: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    field: String,
    value: String,
}

/// What a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Matching {
    field: String,
    /// Empty for any.
    host: String,
    /// Without a slash at its end.
    path: String,
    exact: bool,
}

/// A member of a group, of whichever Storefront.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// The Storefront.
    pub standing: Standing,
    /// What it asks for.
    pub membership: Membership,
    /// Whether its Ingress is there, and in the group.
    pub is_inside: bool,
}

/// The group that a load balancer is to be in, and who else is.
#[derive(Clone, Debug)]
pub struct LoadBalancerGroup {
    /// The Storefront.
    pub standing: Standing,
    /// What it asks for.
    pub membership: Membership,
    /// The members that other Storefronts have.
    pub others: Vec<GroupMember>,
}

/// Whether an Ingress is in a group.
#[must_use]
pub fn is_inside(ingress: &Value, group: &str) -> bool {
    ingress::group_of(ingress) == Some(group)
}

/// What a Storefront asks for.
#[must_use]
pub fn memberships(storefront: &Storefront) -> Vec<Membership> {
    let spec = &storefront.spec;
    let Some(groups) = &spec.load_balancer_groups else {
        return Vec::new();
    };
    let name = storefront.metadata.name.as_deref().unwrap_or_default();
    let tls = edge::tls(spec.tls.as_ref());
    let mut found = Vec::new();
    if let Some(group) = &groups.public
        && !spec.routes.is_empty()
        && spec.gateway.is_none()
    {
        let mut member = Membership::of(storefront, group, true, name.to_owned())
            .saying_tls(&tls, "spec.tls.type");
        for route in &spec.routes {
            let field = format!("spec.routes[{}]", route.path);
            let exact = edge::is_exact(route.path_type);
            member.matching(&field, &spec.hosts, &route.path, exact);
        }
        found.push(member);
    }
    let Some(group) = &groups.internal else {
        return found;
    };
    for frontend in &spec.frontends {
        if frontend.exposure != Some(Exposure::Internal) {
            continue;
        }
        let hosts = format!("spec.frontends[{}].hosts", frontend.name);
        let own = if frontend.hosts.is_empty() {
            edge::without_hosts(tls.clone())
        } else {
            tls.clone()
        };
        let field = if own == tls { "spec.tls.type" } else { &hosts };
        let ingress = format!("{name}-{}", frontend.name);
        let mut member = Membership::of(storefront, group, false, ingress).saying_tls(&own, field);
        member.matching(&hosts, &frontend.hosts, "/", false);
        member.rules_field = hosts;
        found.push(member);
    }
    found
}

fn platform_of(storefront: &Storefront) -> Option<String> {
    let made_on = storefront
        .status
        .as_ref()
        .and_then(|status| status.platform.as_ref())
        .map(|platform| platform.name.clone());
    made_on.or_else(|| Some(storefront.spec.platform_ref.as_ref()?.name.clone()))
}

impl Membership {
    fn of(storefront: &Storefront, group: &str, public: bool, ingress: String) -> Self {
        let (field, scheme) = if public {
            ("spec.loadBalancerGroups.public", ingress::scheme(true))
        } else {
            ("spec.loadBalancerGroups.internal", ingress::scheme(false))
        };
        let groups = storefront.spec.load_balancer_groups.as_ref();
        let platform = platform_of(storefront);
        Self {
            group: group.to_owned(),
            order: groups.and_then(|groups| groups.order),
            ingress,
            says: BTreeMap::new(),
            rules: Vec::new(),
            rules_field: "spec.routes".to_owned(),
            certificates: BTreeSet::new(),
        }
        .saying("which Platform it is on", "spec.platformRef", platform)
        .saying("the scheme", field, Some(scheme.to_owned()))
        .saying_settings(storefront)
    }

    fn saying(mut self, about: &str, field: &str, value: Option<String>) -> Self {
        if let Some(value) = value {
            let field = field.to_owned();
            self.says.insert(about.to_owned(), Said { field, value });
        }
        self
    }

    fn saying_settings(self, storefront: &Storefront) -> Self {
        let settings = edge::settings(storefront.spec.load_balancer.as_ref());
        let acl = settings.waf_acl_arn.unwrap_or_else(|| "none".to_owned());
        let with_acl = self.saying("the web ACL", "spec.loadBalancer.wafAclArn", Some(acl));
        settings
            .attributes
            .into_iter()
            .fold(with_acl, |member, (name, value)| {
                let field = match name.as_str() {
                    edge::IDLE_TIMEOUT => "spec.loadBalancer.idleTimeoutSeconds".to_owned(),
                    edge::DELETION_PROTECTION => "spec.loadBalancer.deletionProtection".to_owned(),
                    name => format!("spec.loadBalancer.attributes[{name}]"),
                };
                member.saying(&name, &field, Some(value))
            })
    }

    /// HTTP is redirected for all of them or for none: whoever has no HTTPS would be answered with 404 behind the redirection of another.
    fn saying_tls(mut self, tls: &ResolvedTls, field: &str) -> Self {
        let (kind, policy) = match tls {
            ResolvedTls::None => ("plain HTTP", None),
            ResolvedTls::Discovered { policy } => ("TLS", Some(policy)),
            ResolvedTls::Existing {
                policy,
                certificate_arns,
            } => {
                self.certificates = certificate_arns.iter().cloned().collect();
                ("TLS", Some(policy))
            }
        };
        self.saying("what clients speak", field, Some(kind.to_owned()))
            .saying("the security policy", "spec.tls.policy", policy.cloned())
    }

    fn matching(&mut self, field: &str, hosts: &[String], path: &str, exact: bool) {
        let any = [String::new()];
        let hosts = if hosts.is_empty() { &any[..] } else { hosts };
        self.rules.extend(hosts.iter().map(|host| {
            let path = if exact {
                path
            } else {
                path.trim_end_matches('/')
            };
            Matching {
                field: field.to_owned(),
                host: host.clone(),
                path: path.to_owned(),
                exact,
            }
        }));
    }

    /// Where it says something else than another: what, its own field and value, and the other's value.
    fn contradicts<'a>(&'a self, other: &'a Self) -> Option<(&'a Said, &'a str)> {
        self.says.iter().find_map(|(about, said)| {
            let theirs = &other.says.get(about)?.value;
            (said.value != *theirs).then_some((said, theirs.as_str()))
        })
    }

    /// Its place among the rules, as the controller sorts the members.
    fn rank(&self, namespace: &str) -> (i32, String) {
        (
            self.order.unwrap_or_default(),
            format!("{namespace}/{}", self.ingress),
        )
    }
}

impl Matching {
    /// Whether everything that another rule matches is matched by this one as well.
    fn covers(&self, other: &Self) -> bool {
        let host = self.host.is_empty()
            || self.host == other.host
            || self
                .host
                .strip_prefix('*')
                .is_some_and(|domain| other.host.ends_with(domain));
        let path = if self.exact {
            other.exact && self.path == other.path
        } else {
            let below = other.path.strip_prefix(self.path.as_str());
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        };
        host && path
    }
}

/// What keeps two Ingresses of one Storefront out of one group.
pub(super) fn check_own(storefront: &Storefront, own: &[Membership]) -> Result<(), Failure> {
    let namespace = storefront.metadata.namespace.as_deref().unwrap_or_default();
    for (index, one) in own.iter().enumerate() {
        for other in own[..index].iter().filter(|other| other.group == one.group) {
            let others = format!("Ingress {} of this Storefront", other.ingress);
            obstacle_between((one, namespace), (other, namespace), &others).map_or(Ok(()), Err)?;
        }
    }
    Ok(())
}

/// What keeps the first from being in one group with the second.
fn obstacle_between(
    (own, namespace): (&Membership, &str),
    (other, elsewhere): (&Membership, &str),
    named: &str,
) -> Option<Failure> {
    let group = &own.group;
    if let Some((said, theirs)) = own.contradicts(other) {
        return Some(Failure::invalid(
            &said.field,
            &format!(
                "makes it {}, and {named}, with which it shares the load balancer of group {group}, has {theirs}",
                said.value
            ),
            "let both say the same, or choose another group in spec.loadBalancerGroups",
        ));
    }
    let is_first = own.rank(namespace) < other.rank(elsewhere);
    let (first, last) = if is_first { (own, other) } else { (other, own) };
    let (first, last) = first.rules.iter().find_map(|first| {
        let mut rules = last.rules.iter();
        rules
            .find(|last| first.covers(last))
            .map(|last| (first, last))
    })?;
    let (mine, theirs) = if is_first {
        (first, last)
    } else {
        (last, first)
    };
    let (does, remedy) = if first.covers(last) && last.covers(first) {
        (
            "matches the same requests as",
            "take one of them out, or give them other hosts",
        )
    } else if is_first {
        (
            "takes all requests of",
            "give this Storefront a higher spec.loadBalancerGroups.order, or hosts",
        )
    } else {
        (
            "is never reached behind",
            "give this Storefront a lower spec.loadBalancerGroups.order, or the other one hosts",
        )
    };
    Some(Failure::invalid(
        &mine.field,
        &format!(
            "{does} {} of {named}, with which it shares the load balancer of group {group}",
            theirs.field
        ),
        remedy,
    ))
}

impl LoadBalancerGroup {
    /// What keeps the Ingress from being written, by where it is now. One that changes nothing of the load balancer is never kept: whatever
    /// is wrong is somebody else's. Who is inside comes before who is not, and of those the older one: a newcomer stops nobody.
    pub(crate) fn obstacle(&self, place: GroupPlace) -> Option<Failure> {
        let age = |standing: &Standing| (standing.created, standing.uid.clone());
        let mut before: Vec<&GroupMember> = match place {
            GroupPlace::Settled => return None,
            GroupPlace::Inside => self.others.iter().filter(|other| other.is_inside).collect(),
            GroupPlace::Outside => {
                let own = age(&self.standing);
                let others = self.others.iter();
                others
                    .filter(|other| other.is_inside || age(&other.standing) < own)
                    .collect()
            }
        };
        // Of several, always the same is told.
        before.sort_by_key(|other| (&other.standing.path, &other.membership.ingress));
        let own = (&self.membership, namespace_of(&self.standing));
        let contradiction = before.iter().find_map(|other| {
            let theirs = (&other.membership, namespace_of(&other.standing));
            obstacle_between(own, theirs, &other.standing.path.replacen('/', " ", 1))
        });
        contradiction.or_else(|| self.beyond_limits(&before))
    }

    /// Limits of a load balancer that the members reach together.
    fn beyond_limits(&self, before: &[&GroupMember]) -> Option<Failure> {
        let own = &self.membership;
        let others: usize = before
            .iter()
            .map(|other| other.membership.rules.len())
            .sum();
        let remedy = "choose another group in spec.loadBalancerGroups for one of them";
        let rules = own.rules.len() + others;
        if rules > MOST_RULES {
            return Some(Failure::invalid(
                &own.rules_field,
                &format!(
                    "{} rules, and {others} of the other members of group {}, are {rules}, and an Application Load Balancer takes {MOST_RULES}",
                    own.rules.len(),
                    own.group
                ),
                remedy,
            ));
        }
        let certificates: BTreeSet<&String> = before
            .iter()
            .flat_map(|other| &other.membership.certificates)
            .chain(&own.certificates)
            .collect();
        (certificates.len() > MOST_CERTIFICATES).then(|| {
            Failure::invalid(
                "spec.tls.existing.certificateArns",
                &format!(
                    "the members of group {} name {} certificates, and an Application Load Balancer takes {MOST_CERTIFICATES}",
                    own.group,
                    certificates.len()
                ),
                remedy,
            )
        })
    }
}

fn namespace_of(standing: &Standing) -> &str {
    standing.path.split('/').nth(1).unwrap_or_default()
}
