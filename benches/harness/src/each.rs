//! What one more site, one more key, and the crate itself cost a compiler.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::compile::{children_time, clang_of, rustc_of, write};
use crate::directories::output_directory;
use crate::model::{Part, Table, Unit};
use crate::statistics::Summary;
use xtask::run::{cargo, root, run};

const SOURCES: [&str; 1] = ["benches/harness/src/each.rs"];
const SITES: usize = 2_000;
const KEYS: usize = 500;
const CALLS_A_FUNCTION: usize = 10;

/// Two files that differ in as many sites or keys.
struct Files {
    row: String,
    with: String,
    plain: String,
    count: usize,
}

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    bench.attempt("compile time of each site and key", measure_each)?;
    bench.attempt("compile time of a crate with one key", measure_crate)
}

fn measure_each(bench: &mut Bench) -> Result<()> {
    let directory = output_directory()?.join("each");
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let compilers = [clang_of(&directory), rustc_of(&directory)?];
    let about = "Processor time that one more site, or one more key with one site, adds to a compiler: a \
                 file with 2,000 sites, or with 500 keys, at -O2, less the same file without the pass, or \
                 less one that calls the functions themselves without the pass. Divided by the number; in \
                 turns, and triple by triple. Without the pass, C's calls load their key here \
                 (`STATIC_CALL_POINTERS`), and Rust's macros write trampolines of their own.";
    let mut table = Table::new(Part::Build, "build-each", "Compile time of each", "what", &SOURCES, about)
        .columns([("over no pass", Unit::Nanoseconds), ("over plain calls", Unit::Nanoseconds)]);
    for compiler in &compilers {
        let is_c = compiler.end == "c";
        for files in [sites(compiler.name, is_c), keys(compiler.name, is_c)] {
            let loads = if is_c { "#define STATIC_CALL_POINTERS\n" } else { "" };
            let without_text = format!("{loads}{}", files.with);
            let (mut without, mut plain) = (Vec::new(), Vec::new());
            for round in 0..bench.quick_or_full(3, 25) {
                bench.step(format!("{}, {round}", files.row));
                let time = |form: &str, text: &str, with_pass| {
                    let source = directory.join(format!("each-{form}.{}", compiler.end));
                    write(&source, text)?;
                    let mut command = (compiler.command)(&source, with_pass)?;
                    children_time(|| run(&mut command))
                };
                let with_pass = time("with", &files.with, true)?;
                let each = |less: f64| (with_pass - less) / files.count as f64;
                without.push(each(time("without", &without_text, false)?));
                plain.push(each(time("plain", &files.plain, false)?));
            }
            table.row(files.row, [without, plain].map(Summary::of));
        }
    }
    bench.add(table);
    Ok(())
}

/// The functions call one key.
fn sites(compiler: &str, is_c: bool) -> Files {
    let (define, key, own) = if is_c {
        ("#include <static_call.h>\nDECLARE_STATIC_CALL(k, first);\n", "static_call(k, x)", "first(x)")
    } else {
        ("static_call::define! { pub static KEY: fn(x: i64) -> i64 = first; }\n", "KEY.call(x)", "first(x)")
    };
    let source = |define: &str, call: &str| {
        let mut text = if is_c {
            format!("long first(long x);\n{define}")
        } else {
            format!("#[inline(never)] pub fn first(x: i64) -> i64 {{ x + 1 }}\n{define}")
        };
        for function in 0..SITES / CALLS_A_FUNCTION {
            let (start, step) = if is_c {
                (format!("long f{function}(long x) {{ "), format!("x = {call} ^ {function}; "))
            } else {
                (format!("pub fn f{function}(mut x: i64) -> i64 {{ "), format!("x = {call} ^ {function}; "))
            };
            let end = if is_c { "return x; }" } else { "x }" };
            let _ = writeln!(text, "{start}{}{end}", step.repeat(CALLS_A_FUNCTION));
        }
        text
    };
    let (with, plain) = (source(define, key), source("", own));
    Files { row: format!("a site, {compiler}"), with, plain, count: SITES }
}

/// Each function calls a key of its own, or another function.
fn keys(compiler: &str, is_c: bool) -> Files {
    let (mut with, mut plain) = (String::new(), String::new());
    if is_c {
        with += "#include <static_call.h>\n";
    }
    for key in 0..KEYS {
        let of_both = if is_c {
            format!("long f{key}(long x);\n")
        } else {
            format!("#[inline(never)] pub fn f{key}(x: i64) -> i64 {{ x ^ {key} }}\n")
        };
        let (define, call) = if is_c {
            (format!("DEFINE_STATIC_CALL(k{key}, f{key});\n"), format!("static_call(k{key}, x)"))
        } else {
            (
                format!("static_call::define! {{ pub static K{key}: fn(x: i64) -> i64 = f{key}; }}\n"),
                format!("K{key}.call(x)"),
            )
        };
        let caller = |call: &str| {
            if is_c {
                format!("long c{key}(long x) {{ return {call} + {key}; }}\n")
            } else {
                format!("pub fn c{key}(x: i64) -> i64 {{ {call} + {key} }}\n")
            }
        };
        let _ = write!(with, "{of_both}{define}{}", caller(&call));
        let _ = write!(plain, "{of_both}{}", caller(&format!("f{key}(x)")));
    }
    Files { row: format!("a key, {compiler}"), with, plain, count: KEYS }
}

/// A crate with one key, without the wrapper.
fn measure_crate(bench: &mut Bench) -> Result<()> {
    let about = "Processor time of a clean cargo build of a program with one key, without the wrapper, less \
                 that of the same program with a dependency on libc alone: in turns, and pair by pair.";
    let mut table =
        Table::new(Part::Build, "build-crate", "A crate with one key", "profile", &SOURCES, about)
            .columns([("libc alone", Unit::Nanoseconds), ("more", Unit::Nanoseconds)]);
    let package = output_directory()?.join("one-key");
    let sources = package.join("src");
    fs::create_dir_all(&sources).with_context(|| format!("cannot make {}", sources.display()))?;
    write(
        &package.join("Cargo.toml"),
        &format!(
            "[package]\nname = \"one-key\"\nedition = \"2024\"\n\n[features]\nkey = [\"dep:static-call\"]\n\n\
             [dependencies]\nlibc = \"0.2\"\nstatic-call = {{ path = \"{}\", optional = true }}\n\n\
             [workspace]\n",
            root().join("runtime").display()
        ),
    )?;
    write(
        &sources.join("main.rs"),
        "fn one(x: u32) -> u32 {\n    x + 1\n}\n\n#[cfg(feature = \"key\")]\nstatic_call::define! { static \
         KEY: fn(u32) -> u32 = one; }\n\nfn main() {\n    #[cfg(feature = \"key\")]\n    let x = \
         KEY.call(1);\n    #[cfg(not(feature = \"key\"))]\n    let x = one(1);\n    println!(\"{x}\");\n}\n",
    )?;
    // The same libc, without asking the registry.
    fs::copy(root().join("Cargo.lock"), package.join("Cargo.lock")).context("cannot copy Cargo.lock")?;
    for (profile, options) in [("dev", &[][..]), ("release", &["--release"])] {
        let (mut alone, mut more) = (Vec::new(), Vec::new());
        for round in 0..bench.quick_or_full(1, 9) {
            bench.step(format!("building a crate with one key, {profile}, {round}"));
            let time = |features: &[&str]| {
                let directory = tempfile::tempdir()?;
                let mut build = cargo();
                build.args(["build", "--quiet"]).args(options).args(features).current_dir(&package);
                build.env_remove("RUSTFLAGS").arg("--target-dir").arg(directory.path());
                children_time(|| run(&mut build))
            };
            let without = time(&[])?;
            more.push(time(&["--features", "key"])? - without);
            alone.push(without);
        }
        table.row(profile, [alone, more].map(Summary::of));
    }
    bench.add(table);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_as_many_sites_and_keys_as_they_are_divided_by() {
        for is_c in [true, false] {
            let call = if is_c { "static_call(k" } else { ".call(x)" };
            for files in [sites("", is_c), keys("", is_c)] {
                assert_eq!(files.with.matches(call).count(), files.count, "{}", files.row);
                assert!(!files.plain.contains("static_call"), "{}", files.row);
            }
        }
    }
}
