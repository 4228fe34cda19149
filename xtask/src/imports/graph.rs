//! Arrows between files, and the circles that they form.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One file's import of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrow {
    /// One of the paths that import it.
    pub(super) path: String,
    /// Whether it leads to a module that contains the importing file's module.
    pub(super) is_upward: bool,
}

/// Arrows by (importing file, imported file).
pub(super) type Graph = BTreeMap<(PathBuf, PathBuf), Arrow>;

/// The sets of files that reach each other.
pub(super) fn circles(graph: &Graph) -> Vec<BTreeSet<&Path>> {
    let files: BTreeSet<&Path> = graph.keys().map(|(from, _)| from.as_path()).collect();
    let reached: BTreeMap<&Path, BTreeSet<&Path>> =
        files.iter().map(|&file| (file, reached_from(file, graph))).collect();
    let mut circles: BTreeSet<BTreeSet<&Path>> = BTreeSet::new();
    for &file in files.iter().filter(|&&file| reached[file].contains(file)) {
        let of_file = &reached[file];
        circles.insert(
            of_file
                .iter()
                .copied()
                .filter(|&other| reached.get(other).is_some_and(|r| r.contains(file)))
                .collect(),
        );
    }
    circles.into_iter().collect()
}

/// The files that this one imports, directly or through others.
fn reached_from<'graph>(file: &Path, graph: &'graph Graph) -> BTreeSet<&'graph Path> {
    let imports = |file: &Path| {
        let file = file.to_owned();
        graph.keys().filter(move |(from, _)| *from == file).map(|(_, to)| to.as_path())
    };
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Path> = imports(file).collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(imports(file));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(arrows: &[(&'static str, &'static str)]) -> Graph {
        let arrow = Arrow { path: String::new(), is_upward: false };
        arrows.iter().map(|&(from, to)| ((from.into(), to.into()), arrow.clone())).collect()
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let graph =
            graph(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("e", "f"), ("f", "g"), ("g", "e")]);
        let expected = [["b", "c"].map(Path::new).into(), ["e", "f", "g"].map(Path::new).into()];
        assert_eq!(circles(&graph), expected);
    }

    #[test]
    fn two_ways_to_one_file_are_no_circle() {
        assert!(circles(&graph(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])).is_empty());
    }
}
