//! Where the repository is, and programs run in it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// Root of the repository: cargo runs this program from wherever the user is.
pub fn root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .context("the manifest of xtask has no parent folder")
}

/// Cargo's build directory.
pub fn target_directory() -> Result<PathBuf> {
    let given = std::env::var_os("CARGO_TARGET_DIR").filter(|given| !given.is_empty());
    let root = root()?;
    // Cargo takes a relative one from where it runs, which is the root for everything that is started here.
    Ok(given.map_or_else(|| root.join("target"), |given| root.join(given)))
}

/// Builds the operator as the tests do. Not by its package: cargo settles the features of dependencies for the packages it is asked
/// for, and would build the AWS SDKs once more for the operator alone.
pub const BUILD_OPERATOR: [&str; 4] = ["build", "--workspace", "--bin", "shopkeeper"];

/// The cargo that runs this program, in the root of the repository.
pub fn cargo(arguments: &[&str]) -> Result<Command> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()?);
    Ok(command)
}

/// Runs a program that writes to the terminal itself. Fails when it does.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {}", name(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", name(command));
    }
    Ok(())
}

/// Runs a program and returns its standard output. Fails with its standard error.
pub fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", name(command)))?;
    if !output.status.success() {
        bail!(
            "{} failed ({}):\n{}",
            name(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The program and its first arguments, for messages.
fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let arguments = command.get_args().take(3);
    let words: Vec<_> = std::iter::once(program)
        .chain(arguments)
        .map(|word| word.to_string_lossy())
        .collect();
    words.join(" ")
}
