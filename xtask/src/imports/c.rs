//! The `#include "…"` lines of C++ files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::graph::{Arrow, Graph};

/// Reads the files of a directory, if it exists.
pub(super) fn read(directory: &Path) -> Result<Graph> {
    let mut graph = Graph::new();
    if !directory.is_dir() {
        return Ok(graph);
    }
    for entry in fs::read_dir(directory)? {
        let file = entry?.path();
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        for name in text.lines().filter_map(included) {
            let arrow = Arrow { path: format!("#include \"{name}\""), is_upward: false };
            graph.insert((file.clone(), directory.join(name)), arrow);
        }
    }
    Ok(graph)
}

fn included(line: &str) -> Option<&str> {
    let name = line.trim_start().strip_prefix('#')?.trim_start().strip_prefix("include")?.trim_start();
    name.strip_prefix('"')?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imports::graph::circles;

    #[test]
    fn headers_that_include_each_other_are_a_circle() -> Result<()> {
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("a.h"), "#pragma once\n#include <a.h>\n#  include \"b.h\" // why\n")?;
        fs::write(directory.path().join("b.h"), "#include <vector>\n")?;
        assert_eq!(read(directory.path())?.len(), 1);
        assert!(circles(&read(directory.path())?).is_empty());
        fs::write(directory.path().join("b.h"), "#include \"a.h\"\n")?;
        assert_eq!(circles(&read(directory.path())?).len(), 1);
        Ok(())
    }
}
