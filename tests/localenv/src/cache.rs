//! Things that are expensive to make and the same for every environment: made once, kept in the user's cache directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Marks a directory whose making ran to its end. Without it the directory is the rest of an interrupted attempt.
const COMPLETE: &str = ".complete";

/// `$XDG_CACHE_HOME/shopkeeper`, or `~/.cache/shopkeeper`.
pub(crate) fn root() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(base) => PathBuf::from(base),
        None => {
            let home =
                std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?;
            Path::new(&home).join(".cache")
        }
    };
    Ok(base.join("shopkeeper"))
}

/// A name for what is made from these files (and `salt`, whatever else decides the result).
pub(crate) fn key_of(files: &[&Path], salt: &str) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(salt);
    for file in files {
        hash.update(fs::read(file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    Ok(hash
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// The directory `<cache>/<kind>/<key>`, made by `make` unless it is there.
///
/// Two processes that need it at the same time make it once: the second waits for the first. It is made in its final
/// place, since a Python environment records its own path, and marked when it is whole.
pub(crate) fn directory(
    kind: &str,
    key: &str,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let parent = root()?.join(kind);
    let directory = parent.join(key);
    if directory.join(COMPLETE).exists() {
        return Ok(directory);
    }
    fs::create_dir_all(&parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let lock_path = parent.join(format!("{key}.lock"));
    let lock = File::create(&lock_path)
        .with_context(|| format!("cannot create {}", lock_path.display()))?;
    lock.lock()
        .with_context(|| format!("cannot lock {}", lock_path.display()))?;
    if directory.join(COMPLETE).exists() {
        return Ok(directory);
    }
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    make(&directory)?;
    fs::write(directory.join(COMPLETE), b"")
        .with_context(|| format!("cannot write to {}", directory.display()))?;
    Ok(directory)
}

/// This folder, `tests/localenv`, where the sources of the tools and of the AWS double are.
pub(crate) fn source_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    source_folder()
        .ancestors()
        .nth(2)
        .unwrap_or_else(|| source_folder())
}

/// Cargo's build directory.
pub(crate) fn target_directory() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => directory.into(),
        None => repository().join("target"),
    }
}
