//! A calling convention that leaves no register for a trampoline: such keys' calls load the pointer. Those
//! with other conventions go to the trampoline, in debug builds too.

use std::fs;
use std::path::Path;
use std::process::Command;

use static_call_tests::{run, stdout, target};

use crate::outcome::inspect;

const PROGRAM: &str = r#"
#![feature(rust_preserve_none_cc)]

type N = u64;
type Numbers = [N; 4];

static_call::define! {
    #[unsafe(no_mangle)]
    static FAR: extern "rust-preserve-none" fn(N, N, N, N, N, N, N, N, N, N, N, N) -> N =
        minus::<1>;
    static NEAR: extern "rust-preserve-none" fn(N, N, N, N, N, N, N, N, N, N, N, N) -> N =
        minus::<1>;
    static USUAL: extern "C" fn(&Numbers) -> u64 = first;
}

extern "rust-preserve-none" fn minus<const FACTOR: u64>(
    a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64, j: u64, k: u64, l: u64,
) -> u64 {
    let numbers = [a, b, c, d, e, f, g, h, i, j, k, l];
    (1..).zip(numbers).map(|(at, number)| FACTOR * at * number).sum()
}

extern "C" fn first(numbers: &Numbers) -> u64 {
    numbers[0]
}

#[inline(never)]
fn far(a: u64) -> u64 {
    FAR.call(a, a + 1, a + 2, a + 3, a + 4, a + 5, a + 6, a + 7, a + 8, a + 9, a + 10, a + 11)
}

#[inline(never)]
fn near(a: u64) -> u64 {
    NEAR.call(a, a + 1, a + 2, a + 3, a + 4, a + 5, a + 6, a + 7, a + 8, a + 9, a + 10, a + 11)
}

#[inline(never)]
fn usual(numbers: &Numbers) -> u64 {
    USUAL.call(numbers)
}

fn main() {
    let start = std::env::args().count() as u64;
    let before = [far(start), near(start), usual(&[7; 4])];
    FAR.update(minus::<2>).expect("an update");
    NEAR.update(minus::<2>).expect("an update");
    println!("{before:?} {} {}", far(start), near(start));
}
"#;

pub(super) fn check(runtime: &Path) {
    let directory = target().join("tests/matrix-without/conventions");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory");
    let source = directory.join("conventions.rs");
    fs::write(&source, PROGRAM).expect("a source file");
    let sum: u64 = (1..=12).map(|at| at * at).sum();
    for level in ["0", "2"] {
        let program = directory.join(format!("level-{level}"));
        let mut rustc = Command::new("rustc");
        rustc.current_dir(&directory).env("RUSTC_BOOTSTRAP", "1").arg("--edition=2024").arg(&source);
        rustc.arg("-g").arg(format!("-Copt-level={level}")).arg("-o").arg(&program);
        rustc.arg("--extern").arg(format!("static_call={}", runtime.join("libstatic_call.rlib").display()));
        run(rustc.arg("-L").arg(format!("dependency={}", runtime.join("deps").display())));
        let said = stdout(&mut Command::new(&program));
        assert_eq!(said, format!("[{sum}, {sum}, 7] {} {}\n", 2 * sum, 2 * sum), "level {level}");
        let report = inspect(&program, false);
        // A debug build copies the key's address, so the inspector cannot tell which key is loaded.
        let loaded = if level == "0" { "0 0 0 0 0" } else { "0 0 0 0 1" };
        assert!(report.contains("compiled without the pass and load their key: 2"), "{report}");
        for (key, calls) in [("FAR", loaded), ("NEAR", loaded), ("USUAL", "0 0 0 1 0")] {
            let mut rows = report.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let row = rows.find(|words| words.len() > 5 && words[0].ends_with(key));
            let row = row.map_or_else(|| panic!("{report}"), |words| words[words.len() - 5..].join(" "));
            assert_eq!(row, calls, "level {level}, {key}: {report}");
        }
    }
}
