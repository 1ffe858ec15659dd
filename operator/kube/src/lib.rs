//! kube.
