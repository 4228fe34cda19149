//! The reasons to build without the pass.

use std::fmt;
use std::path::PathBuf;

use crate::variables;

/// Why the pass cannot be loaded. The text is one line: what happened, where, and what to do.
#[derive(Debug)]
pub(crate) enum Unavailable {
    /// No plugin at any of these places.
    NoPlugin { searched: Vec<PathBuf> },
    /// A plugin that rustc could not load.
    BadPlugin { path: PathBuf, problem: String },
    /// A plugin of another version of static-call than this wrapper.
    OtherVersion { path: PathBuf, version: String },
    /// The compiler did not print its version.
    UnknownToolchain { compiler: String, problem: String },
    /// The plugin was built for other LLVMs than the compiler's.
    OtherLlvm { compiler: String, release: String, llvm: String, plugin: String, llvms: String },
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variable = variables::PLUGIN;
        match self {
            Self::NoPlugin { searched } => {
                let places: Vec<_> = searched.iter().map(|path| path.display().to_string()).collect();
                let places = places.join(" or ");
                write!(
                    f,
                    "no plugin at {places}; get one with `cargo static-call setup --from ARCHIVE`, or set \
                     {variable} to its path"
                )
            }
            Self::BadPlugin { path, problem } => {
                let path = path.display();
                write!(f, "the plugin {path} {problem}; reinstall it or set {variable} to another")
            }
            Self::OtherVersion { path, version } => {
                let path = path.display();
                write!(
                    f,
                    "the plugin {path} is of static-call {version}, but this wrapper of {}; install both of \
                     one version (`cargo static-call setup --from ARCHIVE`)",
                    env!("CARGO_PKG_VERSION")
                )
            }
            Self::UnknownToolchain { compiler, problem } => {
                write!(f, "`{compiler} -vV` {problem}; run it by hand, and repair the toolchain")
            }
            Self::OtherLlvm { compiler, release, llvm, plugin, llvms } => {
                let major = llvm.split('.').next().unwrap_or_default();
                write!(
                    f,
                    "rustc {release} ({compiler}) has LLVM {llvm}, but the plugin {plugin} is built for LLVM \
                     {llvms}; use a rustc with one of these (`rustc -vV` names it), build static-call with \
                     the headers of this one (`cargo xtask install --llvm {major}`), or set {variable} to a \
                     plugin for it"
                )
            }
        }
    }
}
