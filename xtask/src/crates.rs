//! `cargo xtask crates`: packs the published crates as crates.io would get them, and uses them outside of the
//! repository, from a registry of their own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use xtask::install;
use xtask::run::{cargo, in_temporary_directory, output, root, run, target};

use crate::metadata::{self, Package};

/// A program of a user, which checks itself.
const PROGRAM: &str = "
static_call::define! {
    static COMBINE: fn(a: u32, b: u32) -> u32 = add;
    static TRACE: bool = false;
}
fn add(a: u32, b: u32) -> u32 { a + b }
fn multiply(a: u32, b: u32) -> u32 { a * b }
fn main() -> Result<(), static_call::Error> {
    let traces = || static_call::static_branch_unlikely!(TRACE);
    assert_eq!((COMBINE.call(3, 4), traces()), (7, false));
    COMBINE.update(multiply)?;
    TRACE.enable()?;
    assert_eq!((COMBINE.call(3, 4), traces()), (12, true));
    println!(\"{}\", static_call::process_info().sites);
    Ok(())
}
";

/// Dependants of the crate find the C headers.
const BUILD_SCRIPT: &str = "
fn main() {
    let include = std::env::var_os(\"DEP_STATIC_CALL_INCLUDE\").expect(\"the headers' directory\");
    assert!(std::path::Path::new(&include).join(\"static_call.h\").is_file(), \"no header in {include:?}\");
}
";

/// Packs the crates, builds a program with them, and installs the tools and uses them with the pass of
/// `target/prefix`.
pub(crate) fn test() -> Result<()> {
    let packages = published()?;
    let registry = registry(&packages)?;
    in_temporary_directory(|outside| use_them(&registry, outside))
}

/// The packages that are published, each after those that it needs.
pub(crate) fn published() -> Result<Vec<Package>> {
    let mut left: Vec<Package> =
        metadata::packages("Cargo.toml")?.into_iter().filter(|package| package.is_published).collect();
    let mut sorted: Vec<Package> = Vec::new();
    while !left.is_empty() {
        let needs_none = |package: &Package| {
            let needs = package.description["dependencies"].as_array().into_iter().flatten();
            let mut needs = needs.filter(|need| need["kind"].is_null());
            !needs.any(|need| left.iter().any(|other| need["name"] == *other.name))
        };
        let ready = left.iter().position(needs_none).context("the published packages need each other")?;
        sorted.push(left.remove(ready));
    }
    Ok(sorted)
}

/// A directory of packages, ours as `cargo package` makes them and all that they need, which cargo can use
/// instead of crates.io.
fn registry(packages: &[Package]) -> Result<PathBuf> {
    let directory = target().join("crates");
    let registry = directory.join("registry");
    for old in [&registry, &directory.join("unpacked"), &directory.join("package")] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
    }
    let mut pack = cargo();
    // The program and the tools below compile all that is packed.
    pack.args(["package", "--quiet", "--no-verify", "--allow-dirty", "--target-dir"]).arg(&directory);
    run(pack.args(packages.iter().flat_map(|package| ["-p", &package.name])))?;

    let unpacked = directory.join("unpacked");
    fs::create_dir_all(&unpacked)?;
    let name = |package: &Package| {
        let version = package.description["version"].as_str().unwrap_or_default();
        format!("{}-{version}", package.name)
    };
    let archive = |package: &Package| directory.join("package").join(name(package) + ".crate");
    for package in packages {
        run(Command::new("tar").arg("-xf").arg(archive(package)).arg("-C").arg(&unpacked))?;
        check_files(&unpacked.join(name(package)))?;
    }
    vendor(packages, &unpacked, &registry)?;
    for package in packages {
        let sum = output(Command::new("sha256sum").arg(archive(package)))?;
        let sum = sum.split_whitespace().next().context("sha256sum prints nothing")?;
        let there = registry.join(name(package));
        fs::rename(unpacked.join(name(package)), &there)?;
        let checksum = json!({ "files": {}, "package": sum });
        fs::write(there.join(".cargo-checksum.json"), checksum.to_string())?;
    }
    Ok(registry)
}

/// What each packed crate has beside its sources.
fn check_files(package: &Path) -> Result<()> {
    for file in ["LICENSE-MIT", "LICENSE-APACHE", "README.md"] {
        let text = fs::read_to_string(package.join(file));
        ensure!(text.is_ok_and(|text| text.len() > 100), "{} is not packed", package.join(file).display());
    }
    Ok(())
}

/// Copies the dependencies from crates.io, in the repository's versions, with those of tests: cargo wants to
/// know them when it installs a program.
fn vendor(packages: &[Package], unpacked: &Path, registry: &Path) -> Result<()> {
    let mut members = String::new();
    let mut patches = String::new();
    for package in packages {
        let (name, version) = (&package.name, package.description["version"].as_str().unwrap_or_default());
        members += &format!("\"{name}-{version}\", ");
        patches += &format!("{name} = {{ path = \"{name}-{version}\" }}\n");
    }
    let manifest =
        format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n[patch.crates-io]\n{patches}");
    fs::write(unpacked.join("Cargo.toml"), manifest)?;
    fs::copy(root().join("Cargo.lock"), unpacked.join("Cargo.lock"))?;
    let mut vendor = cargo();
    vendor.args(["vendor", "--quiet", "--versioned-dirs"]).arg(registry).current_dir(unpacked);
    run(vendor.stdout(std::process::Stdio::null()))
}

/// As a user would: a new package, `cargo add`, `cargo run`; then the tools, and the same with the pass.
fn use_them(registry: &Path, outside: &Path) -> Result<()> {
    let package = outside.join("app");
    fs::create_dir_all(package.join("src"))?;
    // `cargo install` reads the configuration of this directory alone.
    let home = outside.join("cargo");
    fs::create_dir(&home)?;
    fs::write(
        home.join("config.toml"),
        format!(
            "[source.crates-io]\nreplace-with = \"packed\"\n[source.packed]\ndirectory = {registry:?}\n\
             [net]\noffline = true\n[profile.dev]\ndebug = false\n"
        ),
    )?;
    let manifest = "[package]\nname = \"app\"\nversion = \"0.0.0\"\nedition = \"2024\"\n";
    fs::write(package.join("Cargo.toml"), manifest)?;
    fs::write(package.join("build.rs"), BUILD_SCRIPT)?;
    fs::write(package.join("src/main.rs"), PROGRAM)?;
    let users_cargo = |directory: &Path| {
        let mut cargo = cargo();
        cargo.current_dir(directory).env_remove("CARGO_TARGET_DIR").env("CARGO_HOME", &home);
        cargo
    };
    run(users_cargo(&package).args(["add", "--quiet", "static-call"]))?;
    let sites = output(users_cargo(&package).args(["run", "--quiet"]))?;
    ensure!(sites == "0\n", "without the pass {sites:?} calls are recorded");

    let prefix = outside.join("prefix");
    // Compiling without optimization takes half of the time, and is as much a test.
    let mut install = users_cargo(outside);
    install.args(["install", "--quiet", "--debug", "--locked", "--root"]).arg(&prefix).arg("--target-dir");
    run(install.arg(target().join("crates/build")).args([
        "cargo-static-call",
        "static-call-rustc",
        "static-call-as",
    ]))?;
    let tool = prefix.join("bin/cargo-static-call");
    let pass = prefix.join(install::PLUGIN);
    fs::create_dir_all(pass.parent().context("a directory")?)?;
    symlink(install::prefix().join(install::PLUGIN), &pass)?;
    let with_pass = |arguments: &[&str]| {
        let mut command = Command::new(&tool);
        command.arg("static-call").args(arguments).current_dir(&package).env_remove("CARGO_TARGET_DIR");
        command.env("STATIC_CALL_REQUIRE", "1").env("CARGO_HOME", &home);
        output(&mut command)
    };
    let sites = with_pass(&["run", "--quiet"])?;
    ensure!(sites == "2\n", "with the pass {sites:?} calls are recorded, of 2");
    let said = with_pass(&["inspect", "--require-all-direct", "target/static-call/debug/app"])?;
    ensure!(said.contains("COMBINE"), "the inspector does not list the program's key:\n{said}");
    println!("a program and the tools, built from the packed crates, work");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_says_what_it_is() {
        let published = published().expect("the packages");
        let names: Vec<&str> = published.iter().map(|package| &*package.name).collect();
        assert_eq!(
            names,
            ["static-call-abi", "static-call-as", "static-call", "static-call-rustc", "cargo-static-call"]
        );
        for package in published {
            let Package { name, description, directory, .. } = package;
            for field in ["description", "license", "repository", "readme", "rust_version"] {
                let text = description[field].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "{name} has no {field}");
            }
            for (field, most) in [("categories", 5), ("keywords", 5)] {
                let list = description[field].as_array().expect("a list");
                assert!((1..=most).contains(&list.len()), "{name} has {} {field}", list.len());
            }
            // Links, so that there is one text of each.
            for license in ["LICENSE-MIT", "LICENSE-APACHE"] {
                let file = directory.join(license);
                assert!(file.is_symlink() && file.is_file(), "{} is no link", file.display());
            }
        }
    }
}
