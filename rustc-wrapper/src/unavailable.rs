//! The reasons why a program is built without the pass.

use std::fmt;
use std::path::PathBuf;

use crate::plugin::LLVM_MAJOR;
use crate::toolchain::Toolchain;
use crate::variables;

/// Why the pass cannot be loaded. Displayed in one line: what happened, where, what to do.
#[derive(Debug)]
pub(crate) enum Unavailable {
    /// No plugin at any of these places.
    NoPlugin { searched: Vec<PathBuf> },
    /// A plugin that rustc could not load, as far as can be seen from outside.
    BadPlugin { path: PathBuf, problem: String },
    /// The compiler did not say what it is.
    UnknownToolchain { compiler: String, problem: String },
    /// The compiler has another LLVM than the one the plugin is built for.
    OtherLlvm { toolchain: Toolchain, plugin: String },
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variable = variables::PLUGIN;
        match self {
            Self::NoPlugin { searched } => {
                let places: Vec<_> = searched.iter().map(|path| path.display().to_string()).collect();
                let places = places.join(" or ");
                write!(f, "no plugin at {places}; install it there or set {variable} to its path")
            }
            Self::BadPlugin { path, problem } => {
                let path = path.display();
                write!(f, "the plugin {path} {problem}; reinstall it or set {variable} to another")
            }
            Self::UnknownToolchain { compiler, problem } => {
                write!(f, "`{compiler} -vV` {problem}; run it by hand, and mend the toolchain")
            }
            Self::OtherLlvm { toolchain: Toolchain { compiler, release, llvm }, plugin } => write!(
                f,
                "rustc {release} ({compiler}) has LLVM {llvm}, but the plugin {plugin} needs \
                 LLVM {LLVM_MAJOR}; use a rustc with LLVM {LLVM_MAJOR}, such as 1.95, or set \
                 {variable} to a plugin for this one"
            ),
        }
    }
}
