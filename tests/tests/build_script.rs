//! How the runtime's build script reacts to rustc's options: whether calls without the pass go through
//! trampolines, and whether these jump through retpolines.

use std::path::{Path, PathBuf};
use std::process::Command;

use static_call_tests::{root, run, stdout};

/// What the macros write for a call without the pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A load of the pointer.
    Pointer,
    Trampoline,
    /// A trampoline with a retpoline.
    Retpoline,
}

const GNU: &str = "x86_64-unknown-linux-gnu";

const CASES: &[(&str, &[&str], Form)] = &[
    (GNU, &[], Form::Trampoline),
    ("x86_64-unknown-linux-musl", &[], Form::Trampoline),
    ("x86_64-unknown-linux-gnux32", &[], Form::Pointer),
    ("i686-unknown-linux-gnu", &[], Form::Trampoline),
    ("i686-unknown-linux-gnu", &["-Zregparm=3"], Form::Pointer),
    ("aarch64-unknown-linux-musl", &[], Form::Trampoline),
    ("aarch64-unknown-linux-gnu_ilp32", &[], Form::Pointer),
    ("aarch64_be-unknown-linux-gnu", &[], Form::Pointer),
    ("armv7-unknown-linux-gnueabihf", &[], Form::Trampoline),
    ("armv7-unknown-linux-gnueabihf", &["-Ctarget-feature=+thumb-mode"], Form::Pointer),
    ("thumbv7neon-unknown-linux-gnueabihf", &[], Form::Pointer),
    // Such trampolines have no barriers.
    ("arm-unknown-linux-gnueabihf", &[], Form::Pointer),
    ("armv5te-unknown-linux-gnueabi", &[], Form::Pointer),
    ("riscv64gc-unknown-linux-gnu", &[], Form::Trampoline),
    ("riscv32gc-unknown-linux-gnu", &[], Form::Pointer),
    ("s390x-unknown-linux-gnu", &[], Form::Trampoline),
    ("loongarch64-unknown-linux-gnu", &[], Form::Trampoline),
    ("powerpc64le-unknown-linux-gnu", &[], Form::Pointer),
    ("x86_64-unknown-none", &[], Form::Pointer),
    ("aarch64-unknown-none", &[], Form::Pointer),
    ("riscv64gc-unknown-none-elf", &[], Form::Pointer),
    ("armv7a-none-eabi", &[], Form::Pointer),
    ("x86_64-pc-windows-msvc", &[], Form::Pointer),
    ("x86_64-apple-darwin", &[], Form::Pointer),
    ("wasm32-unknown-unknown", &[], Form::Pointer),
    (GNU, &["-Zsanitizer=cfi"], Form::Pointer),
    (GNU, &["-Z", "sanitizer=address,kcfi"], Form::Pointer),
    (GNU, &["-Zsanitizer=address"], Form::Trampoline),
    (GNU, &["-Zcf-protection=full"], Form::Pointer),
    (GNU, &["-Zcf_protection=branch"], Form::Pointer),
    (GNU, &["-Zcf-protection=none"], Form::Trampoline),
    (GNU, &["-Zbranch-protection=bti"], Form::Pointer),
    (GNU, &["-C", "code-model=large"], Form::Pointer),
    (GNU, &["--codegen", "code-model=medium"], Form::Pointer),
    (GNU, &["--codegen=code-model=medium"], Form::Pointer),
    (GNU, &["-Ccode-model=large", "-Ccode-model=small"], Form::Trampoline),
    (GNU, &["-Zcodegen-backend=cranelift"], Form::Pointer),
    (GNU, &["-Zcodegen-backend=llvm"], Form::Trampoline),
    (GNU, &["-Cllvm-args=-x86-speculative-load-hardening"], Form::Pointer),
    (GNU, &["-C", "llvm-args=-print-after-all --x86-seses-enable-without-lvi-cfi=true"], Form::Pointer),
    (GNU, &["-Cllvm-args=-x86-speculative-load-hardening=false"], Form::Trampoline),
    (GNU, &["-Cllvm-args=-inline-threshold=9"], Form::Trampoline),
    (GNU, &["-Ctarget-feature=+sse3,+seses"], Form::Pointer),
    (GNU, &["-Ctarget-feature=+lvi-cfi,+lvi-load-hardening"], Form::Pointer),
    (GNU, &["-Ctarget-feature=-seses"], Form::Trampoline),
    (GNU, &["-Zretpoline"], Form::Retpoline),
    (GNU, &["-Zretpoline=no"], Form::Trampoline),
    (GNU, &["-Zretpoline-external-thunk", "-Copt-level=2"], Form::Retpoline),
    (GNU, &["-Ctarget-feature=+avx2,+retpoline-indirect-calls"], Form::Retpoline),
    (GNU, &["-Ctarget-feature=+lvi-cfi"], Form::Retpoline),
    (GNU, &["-Ctarget-feature=-retpoline"], Form::Trampoline),
    // Words that only look like options.
    (GNU, &["-L", "/home/cfi/codegen-backend/retpoline"], Form::Trampoline),
    (GNU, &["--cfg", "cf-protection", "-Clink-arg=-Wl,-rpath,/opt/lvi-cfi"], Form::Trampoline),
    (GNU, &["-Cmetadata=retpoline", "--remap-path-prefix=/cfi=code-model=large"], Form::Trampoline),
];

fn build(directory: &Path) -> PathBuf {
    let script = directory.join("build-script");
    run(Command::new("rustc")
        .args(["--edition=2024", "--crate-name=build_script"])
        .arg(root().join("runtime/build.rs"))
        .arg("-o")
        .arg(&script));
    script
}

#[test]
fn rustcs_options_decide_what_a_call_without_the_pass_is() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = build(directory.path());
    for (target, flags, expected) in CASES {
        let said = stdout(
            Command::new(&script)
                .env("TARGET", target)
                .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
                .env_remove("CARGO_CFG_MIRI"),
        );
        let has = |name: &str| said.lines().any(|line| line == format!("cargo::rustc-cfg={name}"));
        let form = match (has("static_call_trampolines"), has("static_call_retpolines")) {
            (false, false) => Form::Pointer,
            (true, false) => Form::Trampoline,
            (true, true) => Form::Retpoline,
            (false, true) => panic!("{said}"),
        };
        assert_eq!(form, *expected, "{target} {flags:?}");
    }
    let miri = stdout(Command::new(&script).env("TARGET", GNU).env("CARGO_CFG_MIRI", ""));
    assert!(!miri.contains("rustc-cfg="), "{miri}");
}
