//! The instructions that calls, updates and loading take, counted by callgrind. These numbers are the same on
//! every machine of an architecture, however busy it is. The bounds are tight, so that a regression is
//! noticed.
//!
//! `cargo xtask bench` also runs these tests, and reads the lines that they print.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use static_call_tests::c::{Build, Compiler, in_mode, source};
use static_call_tests::platform::platform;
use static_call_tests::{root, run, rust};

const BUILD: Build = Build { compiler: Compiler::Pass, level: "-O3" };
/// The number of calls per loop of `benches/c/calls.c` and round.
const CALLS: f64 = 16_384.0;

/// The instructions that each function of a program took, including its callees.
fn count(program: &Path, mode: &str, arguments: &[&str]) -> HashMap<String, f64> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let out = directory.path().join("callgrind.out");
    let mut valgrind = Command::new("valgrind");
    // valgrind caches translations, so it must check whether code has changed.
    valgrind.args([
        "-q",
        "--tool=callgrind",
        "--smc-check=all",
        "--compress-strings=no",
        "--compress-pos=no",
    ]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display()));
    let program = in_mode(program, Some(mode));
    // The library searches the environment when it starts, so the number of variables is fixed.
    valgrind.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    valgrind.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    run(valgrind.arg(program.get_program()).args(program.get_args()).args(arguments));
    let text = std::fs::read_to_string(&out).expect("callgrind's counts");
    let mut counts = HashMap::new();
    let mut function = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            // Recursive calls are counted separately.
            function = Some(name.split('\'').next().unwrap_or(name).to_owned());
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first))
            && let (Some(function), Some(Ok(cost))) =
                (&function, line.split_whitespace().next_back().map(str::parse::<f64>))
        {
            // The cost of a line, or, after `calls=`, of the calls from it.
            *counts.entry(function.clone()).or_insert(0.0) += cost;
        }
    }
    counts
}

/// The bounds are for this machine, and callgrind runs only its programs.
fn is_x86_64() -> bool {
    cfg!(target_arch = "x86_64") && !platform().is_foreign()
}

fn say(what: &str, instructions: f64) {
    println!("instructions: {what}: {instructions}");
}

/// The instructions of one iteration of each loop in a program of `benches/`. The code around the loop hardly
/// counts.
fn a_turn(program: &Path, mode: &str, work: &str) -> impl Fn(&str) -> f64 {
    let counts = count(program, mode, &["1", work]);
    move |form| {
        let name = format!("{work}_{form}_0");
        (counts.get(&name).unwrap_or_else(|| panic!("no {name}")) / CALLS).round()
    }
}

#[test]
fn a_call_takes_as_many_instructions_as_it_should() {
    if !is_x86_64() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("calls");
    let mut compiler = BUILD.compiler(false);
    compiler
        .arg(root().join("benches/c/calls.c"))
        .arg("-o")
        .arg(&program)
        .args(static_call_tests::link_flags());
    run(&mut compiler);
    for mode in ["inline", "trampoline", "generic"] {
        let of = a_turn(&program, mode, "chain");
        // The trampoline's no-op and its jump.
        let more = if mode == "inline" { 0.0 } else { 2.0 };
        assert_eq!(of("static"), of("direct") + more, "a static call in mode {mode}");
        say(&format!("static call, {mode}"), of("static"));
        if mode == "inline" {
            for (form, name) in [
                ("inlined", "inlined code"),
                ("direct", "direct call"),
                ("pointer", "pointer"),
                ("object", "table of functions"),
                ("choice", "switch"),
                ("ifunc", "ifunc"),
            ] {
                say(name, of(form));
            }
            // The jump of the PLT.
            assert_eq!(of("ifunc"), of("direct") + 1.0, "a call of an ifunc");
            let of = a_turn(&program, mode, "hook");
            for form in ["none", "static", "preserving", "branch", "pointer"] {
                say(&format!("hook, {form}"), of(form));
            }
            // The nop and two moves: of the argument, and of the value that a call would not preserve.
            assert_eq!(of("static"), of("none") + 3.0, "a hook that is off");
            // The nop and the argument.
            assert_eq!(of("preserving"), of("none") + 2.0, "the same, of a preserve_most function");
        }
    }
}

#[test]
fn a_call_in_rust_takes_as_many_instructions_as_it_should() {
    if !is_x86_64() {
        return;
    }
    const PROGRAM: &str = "static-call-bench-calls";
    let build = rust::Build { name: "instructions", release: true, ..rust::PLAIN };
    let manifest = root().join("benches/Cargo.toml");
    let manifest = manifest.to_str().expect("a path that cargo can be told");
    let program = build.build(&["--manifest-path", manifest, "--bin", PROGRAM]).join(PROGRAM);
    for (mode, more) in [("inline", 0.0), ("trampoline", 2.0)] {
        let of = a_turn(&program, mode, "chain");
        assert_eq!(of("static"), of("direct") + more, "a static call in mode {mode}");
        say(&format!("static call, {mode}, Rust"), of("static"));
    }
    let of = a_turn(&program, "inline", "hook");
    assert_eq!(of("static"), of("none") + 3.0, "a hook that is off");
}

/// Instructions for each site, from the difference of two programs.
fn a_site(few: &HashMap<String, f64>, many: &HashMap<String, f64>, function: &str) -> f64 {
    let of = |counts: &HashMap<String, f64>| *counts.get(function).unwrap_or_else(|| panic!("no {function}"));
    (of(many) - of(few)) / 9_000.0
}

/// What programs of one site, of 1,000 and of 10,000 take.
fn many_sites(flags: &[&str]) -> [HashMap<String, f64>; 3] {
    let directory = tempfile::tempdir().expect("a temporary directory");
    ["-DONE", "-DTHOUSAND_SITES", "-DTEN_THOUSAND"].map(|sites| {
        let flags = [flags, &[sites]].concat();
        let program = BUILD.link(&["many_sites.c"], &flags, &directory.path().join(&sites[2..]));
        count(&program, "inline", &[])
    })
}

#[test]
fn an_update_and_a_load_take_few_instructions_a_site() {
    /// Bounds just above the current numbers, for one of many sites and for a single site.
    const UPDATE: f64 = 101.0;
    const LOAD: f64 = 235.0;
    const UPDATE_OF_ONE: f64 = 3_400.0;
    const LOAD_OF_ONE: f64 = 7_500.0;
    if !is_x86_64() {
        return;
    }
    let [one, few, many] = many_sites(&[]);
    let update = a_site(&few, &many, "__static_call_update");
    let load = a_site(&few, &many, "__static_call_register");
    say("update, a site", update);
    say("load, a site", load);
    assert!(update <= UPDATE, "{update} instructions for each site of an update");
    assert!(load <= LOAD, "{load} instructions for each site of an image that is loaded");
    let [update, load] = ["__static_call_update", "__static_call_register"].map(|function| one[function]);
    say("update, one site in all", update);
    say("load, one site in all", load);
    assert!(update <= UPDATE_OF_ONE, "{update} instructions for an update of one site");
    assert!(load <= LOAD_OF_ONE, "{load} instructions to load an image with one site");
}

#[test]
fn an_update_of_branches_takes_few_instructions_a_branch() {
    const UPDATE: f64 = 126.0;
    const LOAD: f64 = 855.0;
    if !is_x86_64() {
        return;
    }
    let [_, few, many] = many_sites(&["-DBRANCHES"]);
    let update = a_site(&few, &many, "__static_call_branch");
    let load = a_site(&few, &many, "__static_call_register");
    say("update, a branch", update);
    say("load, a branch", load);
    assert!(update <= UPDATE, "{update} instructions for each branch of an update");
    assert!(load <= LOAD, "{load} instructions for each branch of an image that is loaded");
}

/// A walk takes its steps one by one, and none of them looks at all keys.
#[test]
fn a_walk_is_linear_in_keys() {
    if !is_x86_64() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    for place in ["-DSECTION", "-DELSEWHERE"] {
        let [few, many] = ["-DTHOUSAND_KEYS", "-DTWO_THOUSAND"].map(|keys| {
            let program = directory.path().join(format!("{place}{keys}"));
            let program = BUILD.link(&["many_branches.c"], &[place, keys], &program);
            count(&program, "inline", &[])["__static_call_next"]
        });
        assert!(many < 2.5 * few, "{few} instructions for a walk of 1,000 keys, {many} of 2,000 ({place})");
    }
}

/// The cost of a batch is linear in its keys, and that of an update is linear in the images that call the
/// key.
#[test]
fn an_update_is_linear_in_keys_and_images() {
    const FEW: usize = 100;
    if !is_x86_64() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let keys = BUILD.link(&["many_keys.c"], &[], &directory.path().join("keys"));
    let [few, many] =
        ["2000", "4000"].map(|keys_of| count(&keys, "inline", &[keys_of])["static_call_update_batch"]);
    assert!(many < 3.0 * few, "{few} instructions for a batch of 2,000 keys, {many} for one of 4,000");

    let plugin = directory.path().join("0.so");
    let mut compiler = BUILD.compiler(false);
    compiler.args(["-DPLUGIN", "-fPIC", "-shared"]).arg(source("many_images.c")).arg("-o").arg(&plugin);
    run(&mut compiler);
    let plugins: Vec<String> = (0..2 * FEW)
        .map(|number| {
            let copy = directory.path().join(format!("{number}.so"));
            if number > 0 {
                std::fs::copy(&plugin, &copy).expect("a copy");
            }
            copy.display().to_string()
        })
        .collect();
    let program = BUILD.link_exporting("many_images.c", &[], &directory.path().join("program"));
    let [few, many] = [FEW, 2 * FEW].map(|images| {
        let plugins: Vec<&str> = plugins[..images].iter().map(String::as_str).collect();
        count(&program, "inline", &plugins)["__static_call_update"]
    });
    assert!(many < 2.5 * few, "{few} instructions for an update in {FEW} images, {many} in twice as many");
}
