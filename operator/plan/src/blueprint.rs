//! The blueprint: all desired resources of one custom resource, as a graph.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    aws::AwsResource, failure::Failure, kubernetes::KubernetesObject, resource::ResourceKey,
    sensitive::fingerprint,
};

/// The part of the shop a resource belongs to; each has a condition of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// `NetworkReady`: the network of a Platform. It is found and not made, and has a condition where there is something to tell of it.
    Network,
    /// `NodesReady`: where pods run.
    Nodes,
    /// `DataReady`: what holds data and messages.
    Data,
    /// `WorkloadReady`: the pods and what belongs to them.
    Workload,
    /// `EdgeReady`: how customers get there.
    Edge,
}

impl Section {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 5] = [
        Self::Network,
        Self::Nodes,
        Self::Data,
        Self::Workload,
        Self::Edge,
    ];

    /// The condition type.
    #[must_use]
    pub const fn condition(self) -> &'static str {
        match self {
            Self::Network => "NetworkReady",
            Self::Nodes => "NodesReady",
            Self::Data => "DataReady",
            Self::Workload => "WorkloadReady",
            Self::Edge => "EdgeReady",
        }
    }
}

/// An output that a resource needs from another and that is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingOutput {
    /// The other resource.
    pub resource: ResourceKey,
    /// The output.
    pub output: String,
}

/// A desired resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Of AWS.
    Aws(Box<AwsResource>),
    /// Of Kubernetes.
    Kubernetes(Box<KubernetesObject>),
    /// Not known in full yet.
    Pending(Vec<MissingOutput>),
    /// Not known before a person, or something outside of Shopkeeper, does what the failure says. What is there stays as it is.
    Held(Failure),
}

/// One desired resource and its place in the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What is desired.
    pub wanted: Wanted,
    /// What it is for in its custom resource: `database`, `nodes`, `topics.buy`. The same role under another name means
    /// that one replaces the other.
    pub role: String,
    /// Which condition tells of it.
    pub section: Section,
    /// What has to be usable before it is made.
    pub depends_on: BTreeSet<ResourceKey>,
    /// What is missing of what it refers to. The parts that need it stay as they are or are left out; the whole where it is pending.
    pub awaits: Vec<Failure>,
}

impl Node {
    /// A hash of what is desired; `None` while that is not known.
    #[must_use]
    pub fn intent(&self) -> Option<String> {
        match &self.wanted {
            Wanted::Aws(resource) => Some(resource.intent()),
            Wanted::Kubernetes(object) => {
                let value = object.comparable().to_string();
                Some(fingerprint(value.as_bytes())[..12].to_owned())
            }
            Wanted::Pending(_) | Wanted::Held(_) => None,
        }
    }
}

/// All desired resources of one custom resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blueprint {
    nodes: BTreeMap<ResourceKey, Node>,
    secrets: BTreeSet<String>,
    remarks: Vec<Remark>,
    shared_node_groups: BTreeSet<String>,
}

/// Something that works as it is declared, and that is hardly meant so. It is told, and stops nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Whose condition tells of it.
    pub section: Section,
    /// Reason of the event.
    pub reason: &'static str,
    /// The field, what is odd about it, and what to do.
    pub text: String,
}

impl Blueprint {
    /// Adds an AWS resource; gives its key for others to depend on.
    pub fn aws(
        &mut self,
        section: Section,
        role: impl Into<String>,
        resource: impl Into<AwsResource>,
        depends_on: &[ResourceKey],
    ) -> ResourceKey {
        let resource = resource.into();
        let key = resource.key();
        self.add(
            key.clone(),
            section,
            role,
            Wanted::Aws(Box::new(resource)),
            depends_on,
        );
        key
    }

    /// Adds a Kubernetes object; gives its key for others to depend on.
    pub fn kubernetes(
        &mut self,
        section: Section,
        role: impl Into<String>,
        mut object: KubernetesObject,
        depends_on: &[ResourceKey],
    ) -> ResourceKey {
        object.stamp();
        let key = ResourceKey::kubernetes(object.kind, object.name.clone());
        self.add(
            key.clone(),
            section,
            role,
            Wanted::Kubernetes(Box::new(object)),
            depends_on,
        );
        key
    }

    /// Adds a resource of which only the key is known so far.
    pub fn pending(
        &mut self,
        section: Section,
        role: impl Into<String>,
        key: ResourceKey,
        missing: Vec<MissingOutput>,
        depends_on: &[ResourceKey],
    ) -> ResourceKey {
        self.add(
            key.clone(),
            section,
            role,
            Wanted::Pending(missing),
            depends_on,
        );
        key
    }

    /// Adds a resource that cannot be made before what the failure says is done.
    pub fn held(
        &mut self,
        section: Section,
        role: impl Into<String>,
        key: ResourceKey,
        failure: Failure,
    ) -> ResourceKey {
        self.add(key.clone(), section, role, Wanted::Held(failure), &[]);
        key
    }

    /// Says what is missing of what a resource refers to.
    pub fn wait_for(&mut self, key: &ResourceKey, missing: impl IntoIterator<Item = Failure>) {
        if let Some(node) = self.nodes.get_mut(key) {
            for failure in missing {
                if !node.awaits.contains(&failure) {
                    node.awaits.push(failure);
                }
            }
        }
    }

    /// Says that a Secret of somebody else is read.
    pub fn read_secret(&mut self, name: impl Into<String>) {
        self.secrets.insert(name.into());
    }

    /// Adds something that people should hear of.
    pub fn remark(&mut self, remark: Remark) {
        self.remarks.push(remark);
    }

    /// What people should hear of, though it stops nothing.
    #[must_use]
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// The Secrets of others that are read.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(String::as_str)
    }

    /// Says that pods are to run on a node group of somebody else.
    pub fn share_node_group(&mut self, name: impl Into<String>) {
        self.shared_node_groups.insert(name.into());
    }

    /// The node groups of others that pods are to run on.
    pub fn shared_node_groups(&self) -> impl Iterator<Item = &str> {
        self.shared_node_groups.iter().map(String::as_str)
    }

    fn add(
        &mut self,
        key: ResourceKey,
        section: Section,
        role: impl Into<String>,
        wanted: Wanted,
        depends_on: &[ResourceKey],
    ) {
        let depends_on = depends_on
            .iter()
            .filter(|other| **other != key)
            .cloned()
            .collect();
        let earlier = self.nodes.insert(
            key,
            Node {
                wanted,
                role: role.into(),
                section,
                depends_on,
                awaits: Vec::new(),
            },
        );
        debug_assert!(
            earlier.is_none(),
            "two resources of one blueprint have the same key: {earlier:?}"
        );
    }

    /// The resource with that key.
    #[must_use]
    pub fn get(&self, key: &ResourceKey) -> Option<&Node> {
        self.nodes.get(key)
    }

    /// All resources by key.
    pub fn iter(&self) -> impl Iterator<Item = (&ResourceKey, &Node)> {
        self.nodes.iter()
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &ResourceKey> {
        self.nodes.keys()
    }

    /// How many resources there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nothing is desired.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}
