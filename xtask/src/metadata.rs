//! The repository's packages according to `cargo metadata`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;
use xtask::run::{cargo, output, root};

pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    /// Whether it may be published.
    pub(crate) is_published: bool,
    /// What `cargo metadata` says of it.
    pub(crate) description: Value,
    pub(crate) features: Vec<String>,
    pub(crate) targets: Vec<Target>,
}

/// A crate of a package.
pub(crate) struct Target {
    pub(crate) name: String,
    /// Its first file.
    pub(crate) file: PathBuf,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Library,
    /// A file of integration tests.
    Test,
    /// A program or a build script.
    Other,
}

/// The packages of the workspace with this manifest.
pub(crate) fn packages(manifest: &str) -> Result<Vec<Package>> {
    let text = output(
        cargo()
            .args(["metadata", "--no-deps", "--offline", "--format-version=1", "--manifest-path"])
            .arg(root().join(manifest)),
    )?;
    let metadata: Value = serde_json::from_str(&text)?;
    array(&metadata["packages"])?.iter().map(Package::new).collect()
}

impl Package {
    fn new(description: &Value) -> Result<Self> {
        let manifest = PathBuf::from(text(&description["manifest_path"])?);
        let directory = manifest.parent().context("a manifest lies in a directory")?.to_owned();
        let features = description["features"].as_object().context("cargo names no features")?;
        let features = features.keys().cloned().collect();
        let targets = array(&description["targets"])?.iter().map(Target::new).collect::<Result<_>>()?;
        let name = text(&description["name"])?;
        let is_published = description["publish"].is_null();
        Ok(Self { name, directory, is_published, description: description.clone(), features, targets })
    }
}

impl Target {
    fn new(description: &Value) -> Result<Self> {
        let kinds = array(&description["kind"])?.iter().map(text).collect::<Result<Vec<_>>>()?;
        let kind = if kinds.iter().any(|kind| kind.ends_with("lib") || kind == "proc-macro") {
            Kind::Library
        } else if kinds == ["test"] {
            Kind::Test
        } else {
            Kind::Other
        };
        let file = text(&description["src_path"])?.into();
        Ok(Self { name: text(&description["name"])?, file, kind })
    }
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).context("a text is missing in cargo's metadata")
}

fn array(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("a list is missing in cargo's metadata")
}
