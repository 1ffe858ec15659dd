//! The programs of the control plane: found where the user says, or built from their Go modules.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{Progress, cache};

/// The version that the built programs report. `go install` leaves it empty, and clients compare it.
const KUBERNETES_VERSION: (&str, &str, &str) = ("v1.37.2", "1", "37");

/// A directory with any of the programs, searched before anything is built.
const TOOLS_VARIABLE: &str = "SHOPKEEPER_TOOLS";

/// The same, as envtest and kubebuilder name it; it usually holds etcd, kube-apiserver and kubectl only.
const ENVTEST_VARIABLE: &str = "KUBEBUILDER_ASSETS";

const NAMES: [&str; 6] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kwok",
];

/// Where each program of the control plane is.
#[derive(Clone, Debug)]
pub struct Tools {
    paths: BTreeMap<&'static str, PathBuf>,
}

impl Tools {
    /// Finds the programs, or builds them, which takes minutes the first time and blocks the thread.
    ///
    /// Looked for in `$SHOPKEEPER_TOOLS`, in `$KUBEBUILDER_ASSETS`, then in the cache. `$PATH` is left alone: what a
    /// distribution ships there (etcd 3.4) is too old for a current API server.
    ///
    /// Fails when Go is needed and missing, or when the build fails.
    pub fn prepare(progress: &Progress) -> Result<Self> {
        let mut paths = BTreeMap::new();
        for variable in [TOOLS_VARIABLE, ENVTEST_VARIABLE] {
            let Some(directory) = std::env::var_os(variable).map(PathBuf::from) else {
                continue;
            };
            for name in NAMES {
                let path = directory.join(name);
                if path.is_file() {
                    paths.entry(name).or_insert(path);
                }
            }
        }
        if paths.len() < NAMES.len() {
            let built = build(progress)?;
            for name in NAMES {
                paths.entry(name).or_insert_with(|| built.join(name));
            }
        }
        Ok(Self { paths })
    }

    pub(crate) fn path(&self, name: &'static str) -> Result<&Path> {
        self.paths
            .get(name)
            .map(PathBuf::as_path)
            .with_context(|| format!("no program named {name}"))
    }

    /// The kubectl of the control plane's own version.
    pub fn kubectl(&self) -> Result<&Path> {
        self.path("kubectl")
    }
}

/// What the linker would only strip again takes time to compile.
const NO_DEBUGGER: &str = "-gcflags=all=-dwarf=false";

fn build(progress: &Progress) -> Result<PathBuf> {
    let module = cache::source_folder().join("tools");
    let (version, major, minor) = KUBERNETES_VERSION;
    let package = "k8s.io/component-base/version";
    let linker_flags = format!(
        "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    );
    let key = cache::key_of(
        &[&module.join("go.mod"), &module.join("go.sum")],
        &linker_flags,
    )?;
    let directory = cache::directory("tools", &key, |directory| {
        progress("building the control plane from source: about 9 minutes the first time");
        let binaries = directory.join("bin");
        let output = Command::new("go")
            .args(["install", NO_DEBUGGER, "-ldflags", &linker_flags, "tool"])
            .current_dir(&module)
            // A static binary runs on any machine that shares the cache, whatever its C library.
            .env("CGO_ENABLED", "0")
            .env("GOBIN", &binaries)
            .stdin(Stdio::null())
            .output()
            .context("cannot run go, which builds the control plane; install Go 1.26 or set SHOPKEEPER_TOOLS")?;
        if !output.status.success() {
            bail!(
                "building the control plane failed:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        // Go names a program after the last part of its path, and etcd's is go.etcd.io/etcd/server/v3.
        std::fs::rename(binaries.join("server"), binaries.join("etcd"))
            .context("cannot name etcd's program")?;
        progress("the control plane is built");
        Ok(())
    })?;
    Ok(directory.join("bin"))
}
