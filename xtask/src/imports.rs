//! `cargo xtask imports`: which file of a crate imports which.
//!
//! A path in a file (`use crate::key::Key`, `super::page::align(…)`) is an arrow to the file that defines the
//! item, and a C++ `#include "…"` is one to the header. Declaring a module (`mod page;`) is no arrow, nor is
//! re-exporting an item (`pub use`) that the file itself does not use. Code under `#[cfg(test)]` may import
//! anything. Not seen: macros without a path (`#[macro_use]`) and `include!`, which no crate here uses.
//!
//! - A **circle** is a set of files that all import each other, directly or through others: none of them can
//!   be understood, tested or moved without the rest.
//! - An arrow goes **upward** if it leads from a module to one that contains it, `lib.rs` included: the child
//!   cannot be read without its parent. What both need has its place in a sibling of the child.

mod c;
mod graph;
mod rust;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xtask::run::{root, tracked_files};

use self::graph::{Graph, circles};
use crate::metadata::{self, Kind, Package};

/// Prints the circles and the upward arrows of each crate. An error if there are any.
pub(crate) fn check() -> Result<()> {
    let (mut in_circles, mut all_upward) = (0, 0);
    for package in packages()? {
        let graph = read(&package).with_context(|| format!("cannot read the files of {}", package.name))?;
        let circles = circles(&graph);
        in_circles += circles.len();
        let upward: Vec<_> = graph.iter().filter(|(_, arrow)| arrow.is_upward).collect();
        all_upward += upward.len();
        if graph.is_empty() {
            continue;
        }
        println!(
            "{}: {} imports, {} circles ({} files), {} upward",
            package.name,
            graph.len(),
            circles.len(),
            circles.iter().map(|circle| circle.len()).sum::<usize>(),
            upward.len()
        );
        for circle in &circles {
            println!("  circle:");
            for ((from, to), arrow) in &graph {
                if circle.contains(from.as_path()) && circle.contains(to.as_path()) {
                    println!("    {} imports {} ({})", show(from), show(to), arrow.path);
                }
            }
        }
        for ((from, to), arrow) in upward {
            println!("  upward: {} imports {} ({})", show(from), show(to), arrow.path);
        }
    }
    if in_circles + all_upward > 0 {
        bail!(
            "{in_circles} circles of imports and {all_upward} upward ones: move what two files share into \
             a file that both may import"
        );
    }
    Ok(())
}

/// The packages of every manifest, so that no workspace is forgotten.
fn packages() -> Result<Vec<Package>> {
    let mut packages = BTreeMap::new();
    // Those of `tests/real` need crates that lie only beside its copy. Each has one file.
    for manifest in tracked_files(&["*Cargo.toml", ":!tests/real"])? {
        let directory = root().join(&manifest).parent().context("a file lies in a directory")?.to_owned();
        // A member's workspace has named it already.
        if packages.contains_key(&directory) {
            continue;
        }
        for package in metadata::packages(&manifest)? {
            packages.insert(package.directory.clone(), package);
        }
    }
    Ok(packages.into_values().collect())
}

fn read(package: &Package) -> Result<Graph> {
    let library = package.targets.iter().find(|target| target.kind == Kind::Library);
    let library = library.map(|target| (target.name.replace('-', "_"), target.file.as_path()));
    let others = package.targets.iter().filter(|target| target.kind != Kind::Library);
    let others: Vec<PathBuf> = others.map(|target| target.file.clone()).collect();
    let mut graph = rust::read(library.as_ref().map(|(name, file)| (name.as_str(), *file)), &others)?;
    graph.extend(c::read(&package.directory.join("cpp"))?);
    Ok(graph)
}

/// A file's path in the repository.
fn show(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}
