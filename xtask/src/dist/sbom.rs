//! What was linked into an archive's files: a list in SPDX's JSON, and the licences.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use xtask::run::{cargo, output, root};

/// The packages that an archive is built from.
const BUILT: [&str; 5] =
    ["static-call-pass", "static-call-as", "static-call-rustc", "cargo-static-call", "static-call-c"];

/// Writes the list, and the licences of everything in it, into the directory of documents.
pub(crate) fn write(documents: &Path, target: &str, epoch: u64) -> Result<()> {
    let text =
        output(cargo().args(["metadata", "--offline", "--format-version=1", "--filter-platform", target]))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let linked = linked(&metadata)?;
    let library = |name: &str, id: &str, version: &str, from: &str, license: &str| {
        json!({
            "name": name,
            "SPDXID": id,
            "versionInfo": version,
            "downloadLocation": from,
            "filesAnalyzed": false,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": license,
            "copyrightText": "NOASSERTION",
        })
    };
    let exception = "GPL-3.0-or-later WITH GCC-exception-3.1";
    let mut packages = vec![
        library("libstdc++", "SPDXRef-libstdc", "10", "https://gcc.gnu.org", exception),
        // In static-call-as, which starts faster with it.
        library("glibc", "SPDXRef-glibc", "2.31", "https://sourceware.org/glibc", "LGPL-2.1-or-later"),
    ];
    let lock = fs::read_to_string(root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    for package in &linked {
        let text = |field: &str| package[field].as_str().unwrap_or("NOASSERTION");
        let (name, version) = (text("name"), text("version"));
        let is_ours = package["source"].is_null();
        let mut entry = json!({
            "name": name,
            "SPDXID": format!("SPDXRef-{}-{version}", name.replace('_', "-")),
            "versionInfo": version,
            "downloadLocation": if is_ours { "NOASSERTION".into() } else {
                format!("https://crates.io/api/v1/crates/{name}/{version}/download")
            },
            "filesAnalyzed": false,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": text("license").replace('/', " OR "),
            "copyrightText": "NOASSERTION",
        });
        if let Some(sum) = checksum(&lock, name, version) {
            entry["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": sum }]);
        }
        packages.push(entry);
        if !is_ours {
            copy_licenses(package, &documents.join("licenses").join(format!("{name}-{version}")))?;
        }
    }
    ensure!(packages.len() > 20, "only {} packages are linked", packages.len());
    let relations: Vec<Value> = packages
        .iter()
        .map(|package| {
            json!({
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": package["SPDXID"],
            })
        })
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    let date =
        output(Command::new("date").args(["--utc", "+%Y-%m-%dT%H:%M:%SZ", "--date", &format!("@{epoch}")]))?;
    let list = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("static-call-{version}-{target}"),
        "documentNamespace": format!("{}/spdx/{version}/{target}", env!("CARGO_PKG_REPOSITORY")),
        "creationInfo": { "created": date.trim(), "creators": ["Tool: static-call-xtask"] },
        "packages": packages,
        "relationships": relations,
    });
    let text = serde_json::to_string_pretty(&list)? + "\n";
    fs::write(documents.join("sbom.spdx.json"), text).context("cannot write sbom.spdx.json")
}

/// The packages that the built ones depend on, and themselves, but not what runs at build time only.
fn linked(metadata: &Value) -> Result<Vec<&Value>> {
    let array = |value: &'static str, of: &'_ Value| of[value].as_array().cloned().unwrap_or_default();
    let nodes = array("nodes", &metadata["resolve"]);
    let nodes: BTreeMap<&str, &Value> =
        nodes.iter().filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let packages = metadata["packages"].as_array().context("cargo lists no packages")?;
    let id = |package: &Value| package["id"].as_str().unwrap_or_default().to_owned();
    let is_built =
        |package: &&Value| package["source"].is_null() && BUILT.iter().any(|name| package["name"] == **name);
    // Those run in the compiler.
    let is_macro = |package: &Value| {
        let mut targets = array("targets", package).into_iter();
        targets
            .any(|target| target["kind"].as_array().is_some_and(|kinds| kinds.contains(&json!("proc-macro"))))
    };
    let macros: BTreeSet<String> = packages.iter().filter(|package| is_macro(package)).map(id).collect();
    let mut open: Vec<String> = packages.iter().filter(is_built).map(id).collect();
    ensure!(open.len() == BUILT.len(), "cargo does not know all of {BUILT:?}");
    let mut seen = BTreeSet::new();
    while let Some(package) = open.pop() {
        let node = nodes.get(&*package).context("a package without a node")?;
        if !macros.contains(&package) && seen.insert(package) {
            let is_linked = |kind: &Value| kind["kind"].is_null();
            for dependency in array("deps", node) {
                if array("dep_kinds", &dependency).iter().any(is_linked) {
                    open.push(dependency["pkg"].as_str().context("a package's name")?.to_owned());
                }
            }
        }
    }
    let mut linked: Vec<&Value> = packages.iter().filter(|package| seen.contains(&id(package))).collect();
    linked.sort_by_key(|package| package["name"].as_str().map(str::to_owned));
    Ok(linked)
}

/// The checksum of a package from crates.io, from Cargo.lock.
fn checksum<'a>(lock: &'a str, name: &str, version: &str) -> Option<&'a str> {
    let (_, entry) = lock.split_once(&format!("\nname = \"{name}\"\nversion = \"{version}\"\n"))?;
    let entry = entry.split("[[package]]").next()?;
    entry.lines().find_map(|line| line.strip_prefix("checksum = \"")?.strip_suffix('"'))
}

fn copy_licenses(package: &Value, to: &Path) -> Result<()> {
    let manifest = Path::new(package["manifest_path"].as_str().context("a manifest")?);
    let directory = manifest.parent().context("a directory")?;
    let starts = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let upper = name.to_string_lossy().to_uppercase();
        if path.is_file() && starts.iter().any(|start| upper.starts_with(start)) {
            fs::create_dir_all(to)?;
            fs::copy(&path, to.join(name)).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}
