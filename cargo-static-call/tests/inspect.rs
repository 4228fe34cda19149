//! Compares the inspector's reports on files with what other tools find in them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use object::{Object, ObjectSection, ObjectSymbol};
use serde_json::Value;
use static_call_tests::binary::StaticCalls;
use static_call_tests::c::source;
use static_call_tests::rust::cargo;
use static_call_tests::{clang, link_flags, llvm, plain_clang, plugin, prefix, root, run, stdout, target};

fn inspector() -> Command {
    Command::new(env!("CARGO_BIN_EXE_static-call-inspect"))
}

fn inspect(file: &Path) -> Value {
    serde_json::from_str(&stdout(inspector().arg("--json").arg(file))).expect("JSON")
}

/// The exit code of `--require-all-direct`, and its message.
fn requires(file: &Path) -> (Option<i32>, String) {
    let output = inspector().arg("--require-all-direct").arg(file).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The addresses of the sites, sorted.
fn addresses(report: &Value) -> Vec<u64> {
    let keys =
        report["keys"].as_array().expect("keys").iter().flat_map(|key| key["sites"].as_array().unwrap());
    let mut sites: Vec<u64> = keys.map(|site| site["address"].as_u64().expect("an address")).collect();
    sites.sort_unstable();
    sites
}

fn key<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut keys = report["keys"].as_array().expect("keys").iter();
    keys.find(|key| key["name"] == name).unwrap_or_else(|| panic!("no key {name}: {report:#}"))
}

/// How each call reaches its function, and the compiler that made it, sorted.
fn calls(report: &Value) -> Vec<(String, String)> {
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let keys = list(&report["keys"]);
    let mut calls: Vec<Value> = keys.iter().flat_map(|key| list(&key["sites"])).collect();
    calls.extend(["other_sites", "unrecorded", "without_pass"].iter().flat_map(|name| list(&report[*name])));
    calls.extend(list(&report["left_indirect"]).into_iter().filter(|left| left["is_value"] == false));
    let text = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    let mut calls: Vec<_> =
        calls.iter().map(|call| (text(&call["dispatch"]), text(&call["compiler"]))).collect();
    calls.sort();
    calls
}

/// A program with calls and keys of all kinds.
const PROGRAM: &str = r#"
#include <static_call.h>
int one(int x) { return x + 1; }
DEFINE_STATIC_CALL(counted, one);
DEFINE_STATIC_CALL_NULL(hook, one);
DEFINE_STATIC_CALL_RET0(zero, one);
DEFINE_STATIC_CALL(unused, one);
__attribute__((noinline)) int inner(int a)
{
	static_call_cond(hook, a); /* call */
	return static_call(counted, a); /* tail */
}
__attribute__((noinline)) int outer(int a)
{
	if (a > 3) return static_call(counted, a); /* conditional */
	return inner(a) + static_call(zero, a); /* zero */
}
"#;
const MAIN: &str = "int outer(int); int main(int c, char **v) { return !v + outer(c) == 0; }";

struct Workshop(tempfile::TempDir);

impl Workshop {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("program.c"), PROGRAM).expect("a file");
        std::fs::write(directory.path().join("main.c"), MAIN).expect("a file");
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn build(&self, mut compiler: Command, flags: &[&str], name: &str) -> PathBuf {
        let output = self.path(name);
        compiler.args(flags).args([self.path("program.c"), self.path("main.c")]);
        run(compiler.arg("-o").arg(&output).args(link_flags()));
        output
    }

    fn program(&self) -> PathBuf {
        self.build(clang(), &["-O2", "-g"], "program")
    }

    /// Copies of the program: one without symbols, and one without section headers as well.
    fn stripped(&self, program: &Path) -> [PathBuf; 2] {
        let [stripped, bare] = ["stripped", "bare"].map(|end| program.with_extension(end));
        run(Command::new("strip").arg("-o").arg(&stripped).arg(program));
        let mut data = std::fs::read(&stripped).expect("a program");
        // The offset and the number of section headers, and the index of the one with their names.
        for range in [40..48, 60..62, 62..64] {
            data[range].fill(0);
        }
        std::fs::write(&bare, data).expect("a file");
        [stripped, bare]
    }
}

/// Labels around each alignment show how many bytes the assembler inserted.
#[test]
fn padding_of_calls() {
    const CALLS: &str = "#include <static_call.h>\n\
        int one(int x) { return x + 1; }\n\
        DEFINE_STATIC_CALL(key, one);\n\
        void nothing(void) {}\n\
        DEFINE_STATIC_CALL_NULL(hook, nothing);\n\
        int repeat(int x) { do static_call_cond(hook); while (++x < 9); return x; }\n\
        int many(int x)\n\
        { for (int i = 0; i < x; i++) { x ^= static_call(key, 3 * x); \
        if (x == 77) return static_call(key, 1);\n\
        x += static_call(key, 9) << static_call(key, x + 0x90); static_call_cond(hook); } return x; }\n\
        int tail(int x) { if (x > 7) return static_call(key, x); return static_call(key, -x); }\n\
        int main(int c, char **v) { return repeat(c) + many(c) + tail(c) + one(!v); }\n";
    let workshop = Workshop::new();
    let [source, assembler, object, program] =
        ["calls.c", "calls.s", "calls.o", "calls"].map(|name| workshop.path(name));
    std::fs::write(&source, CALLS).expect("a file");
    let mut most = 0;
    for flags in [&["-O0"][..], &["-O1"], &["-O2"], &["-O3", "-falign-loops=32"], &["-Os"]] {
        run(clang().args(flags).arg("-S").arg(&source).arg("-o").arg(&assembler));
        // The prefix that is always there, and those that align the call.
        let text = std::fs::read_to_string(&assembler)
            .expect("assembler")
            .replace("\t.byte\t103\n\t.p2align\t3,", "\t.byte\t103; .p2align\t3,");
        let mut labelled = String::new();
        for (number, line) in text.lines().enumerate() {
            labelled += &if line.contains(".p2align\t3, 0x67, ") {
                format!("before_{number}:\n{line}\nbehind_{number}:\n")
            } else {
                format!("{line}\n")
            };
        }
        std::fs::write(&assembler, labelled).expect("a file");
        run(plain_clang("clang").arg("-c").arg(&assembler).arg("-o").arg(&object));
        run(plain_clang("clang").arg(&object).arg("-o").arg(&program).args(link_flags()));
        let data = std::fs::read(&program).expect("the program");
        let file = object::File::parse(&*data).expect("an ELF file");
        let label = |name: &str| file.symbol_by_name(name).map(|symbol| symbol.address());
        let mut expected: Vec<(u64, u64)> = (0..text.lines().count())
            .filter_map(|number| {
                let behind = label(&format!("behind_{number}"))?;
                Some((behind, behind - label(&format!("before_{number}"))?))
            })
            .collect();
        expected.sort_unstable();
        let report = inspect(&program);
        let keys = report["keys"].as_array().unwrap().iter();
        let sites = keys.flat_map(|key| key["sites"].as_array().unwrap());
        let mut told: Vec<(u64, u64)> = sites
            .map(|site| (site["address"].as_u64().unwrap(), site["padding"].as_u64().expect("a number")))
            .collect();
        told.sort_unstable();
        assert_eq!(told, expected, "{flags:?}");
        let sum: u64 = expected.iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(report["overhead"]["padding"], sum, "{flags:?}");
        most = most.max(sum);
        run(Command::new("strip").arg(&program));
        assert_eq!(inspect(&program)["overhead"]["padding"], Value::Null);
    }
    assert!(most > 0);
}

#[test]
fn every_way_to_link() {
    let workshop = Workshop::new();
    let ways: [(&str, &[&str]); 8] = [
        ("pie", &["-O2", "-g"]),
        ("unoptimized", &["-O0", "-g"]),
        ("relr", &["-O2", "-fuse-ld=lld", "-Wl,-z,pack-relative-relocs"]),
        ("rela-lld", &["-O2", "-fuse-ld=lld"]),
        ("fixed", &["-O2", "-no-pie", "-fno-pie"]),
        ("static", &["-O2", "-static"]),
        ("static-pie", &["-O2", "-static-pie"]),
        ("compressed", &["-O2", "-g", "-gz"]),
    ];
    for (name, flags) in ways {
        let program = workshop.build(clang(), flags, name);
        let expected = StaticCalls::read(&program).recorded;
        assert!(expected.len() >= 4, "{name}");
        let report = inspect(&program);
        assert_eq!(addresses(&report), expected, "{name}");
        assert_eq!(report["all_direct"], true, "{name}: {report:#}");
        assert_eq!(key(&report, "counted")["default_target"], "one", "{name}");
        assert_eq!(key(&report, "hook")["default_target"], "off", "{name}");
        assert_eq!(key(&report, "zero")["default_target"], "returns zero", "{name}");
        assert_eq!(report["keys"].as_array().unwrap().len(), 4, "{name}: {report:#}");
        for stripped in workshop.stripped(&program) {
            let report = inspect(&stripped);
            assert_eq!(addresses(&report), expected, "{}", stripped.display());
            assert_eq!(requires(&stripped).0, Some(0), "{}", stripped.display());
            assert!(key(&report, "counted")["default_target"].as_str().unwrap().starts_with("0x"), "{name}");
            let unknown = report["unknown"].to_string();
            assert!(
                unknown.contains("symbols were stripped") && unknown.contains("debug information"),
                "{unknown}"
            );
        }
    }
}

#[test]
fn kinds_functions_lines_and_types() {
    let workshop = Workshop::new();
    let program = workshop.program();
    let report = inspect(&program);
    let line = |mark: &str| PROGRAM.lines().position(|line| line.contains(mark)).expect(mark) as u64 + 1;
    let expect = |name: &str, expected: &[(&str, &str, &str)]| {
        let mut sites: Vec<(String, String, u64)> = key(&report, name)["sites"]
            .as_array()
            .unwrap()
            .iter()
            .map(|site| {
                let text = |field: &str| site[field].as_str().unwrap_or("?").to_owned();
                assert!(text("file").ends_with("program.c"), "{site:#}");
                (text("kind"), text("function"), site["line"].as_u64().unwrap())
            })
            .collect();
        sites.sort();
        let expected: Vec<_> = expected
            .iter()
            .map(|&(kind, function, mark)| (kind.into(), function.into(), line(mark)))
            .collect();
        assert_eq!(sites, expected, "{name}");
    };
    expect("hook", &[("call", "inner", "/* call */")]);
    expect("zero", &[("call", "outer", "/* zero */")]);
    expect(
        "counted",
        &[("conditional tail call", "outer", "/* conditional */"), ("tail call", "inner", "/* tail */")],
    );
    expect("unused", &[]);
    assert_eq!(key(&report, "counted")["type"], "int (int)");
    assert_eq!(key(&report, "hook")["type"], "int (int)");
    let overhead = &report["overhead"];
    let numbers = ["sites", "records", "keys", "trampolines"].map(|name| overhead[name].as_u64().unwrap());
    assert_eq!(numbers, [4 * 4, 3 * 40, 4 * 40, 3 * 16]);

    // The text for people.
    let text = stdout(inspector().arg(&program));
    for expected in
        ["4 keys:", "conditional tail call", "int (int)", "program.c:", "16 site table", "can be made direct"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

/// Calls in Rust and in C. A comment after each one names its function.
const IN_RUST: &str = "\
mod inner {
    static_call::define! {
        pub static COUNTED: fn(x: u32) -> u32 = crate::one;
        pub static HOOK: Option<fn(x: u32)> = None;
    }
}
fn one(x: u32) -> u32 {
    x + 1
}
struct Service;
impl Service {
    #[inline]
    fn call(&self, x: u32) -> u32 {
        inner::COUNTED.call(x) + 7 // call
    }
}
#[inline(never)]
fn plain(x: u32) -> u32 {
    inner::HOOK.call(x); // plain
    static_call::static_call!(inner::COUNTED, x) * 5 // plain
}
fn main() {
    let x = std::env::args().count() as u32;
    inner::COUNTED.update(one).and(inner::HOOK.update(None)).unwrap();
    println!(\"{}\", plain(x) + Service.call(x));
}
";
const IN_C: &str = "\
#include <static_call.h>
int one(int x) { return x + 1; }
DEFINE_STATIC_CALL(counted, one);
DEFINE_STATIC_CALL_NULL(hook, one);
static inline int call(int x)
{
	return static_call(counted, x) + 7; // call
}
__attribute__((noinline)) static int plain(int x)
{
	static_call_cond(hook, x); // plain
	return static_call(counted, x) * 5; // plain
}
int outer(int x) { return plain(x) + call(x); }
";

/// The crate `static-call` for rustc: its archive, and the directory of its dependencies.
static RUNTIME: LazyLock<(PathBuf, PathBuf)> = LazyLock::new(|| {
    let directory = target().join("tests/inspect");
    let mut cargo = cargo(None, &root().join("runtime"));
    cargo.env("RUSTC_WRAPPER", prefix().join("bin/static-call-rustc"));
    run(cargo.args(["build", "--quiet", "--target-dir"]).arg(&directory));
    (directory.join("debug/libstatic_call.rlib"), directory.join("debug/deps"))
});

/// The compiler with the pass.
fn wrapped_rustc() -> Command {
    let mut rustc = Command::new(prefix().join("bin/static-call-rustc"));
    rustc.arg("rustc");
    rustc
}

fn build_rust(rustc: Command, directory: &Path, level: &str, split: &str) -> PathBuf {
    build_rust_of(rustc, directory, level, split, IN_RUST)
}

fn build_rust_of(mut rustc: Command, directory: &Path, level: &str, split: &str, source: &str) -> PathBuf {
    std::fs::write(directory.join("main.rs"), source).expect("a file");
    rustc.current_dir(directory).args(["main.rs", "--edition=2024", "-O", "-L"]).arg(&RUNTIME.1);
    rustc.arg("--extern").arg(format!("static_call={}", RUNTIME.0.display()));
    run(rustc.args([format!("-Cdebuginfo={level}"), format!("-Csplit-debuginfo={split}")]));
    directory.join("main")
}

/// Compiles and links separately, which keeps the object files with debug information.
fn compile_apart(workshop: &Workshop, level: &str, split: &str) -> PathBuf {
    std::fs::write(workshop.path("program.c"), IN_C).expect("a file");
    let flags: Vec<&str> = level.split(' ').chain(split.split(' ').filter(|flag| !flag.is_empty())).collect();
    for name in ["program", "main"] {
        let mut clang = clang();
        clang.current_dir(workshop.0.path()).args(["-O2", "-c"]).args(&flags).arg(format!("{name}.c"));
        run(&mut clang);
    }
    let mut link = plain_clang("clang");
    link.current_dir(workshop.0.path()).args(["main.o", "program.o", "-o", "program"]).args(link_flags());
    if split.contains("-flto") {
        let pass = format!("-Wl,--load-pass-plugin={}", plugin().display());
        link.args(&flags).args(["-O2", "-fuse-ld=lld", &pass]);
    }
    run(&mut link);
    workshop.path("program")
}

/// Lines and types are the same wherever compilers put debug information, and absent if it is missing.
#[test]
fn debug_information_of_every_kind() {
    let rust = ["line-tables-only", "full"]
        .map(|level| ["off", "packed", "unpacked"].map(|split| ("rust", level, split)));
    let c = [
        ("c", "-gline-tables-only", ""),
        ("c", "-g1", "-gsplit-dwarf"),
        ("c", "-g -gz", "-gsplit-dwarf"),
        ("c", "-g -gdwarf-5", "-gsplit-dwarf=single"),
        ("c", "-g -gdwarf-4", ""),
        ("c", "-g -gdwarf-4", "-gsplit-dwarf"),
        ("c", "-g", "-flto -gsplit-dwarf"),
    ];
    for case in rust.into_iter().flatten().chain(c) {
        let (language, level, split) = case;
        let workshop = Workshop::new();
        let directory = workshop.0.path();
        let (program, source, file, counted, ty) = if language == "rust" {
            let program = build_rust(wrapped_rustc(), directory, level, split);
            (program, IN_RUST, "main.rs", "main::inner::COUNTED", "fn(u32) -> u32")
        } else {
            (compile_apart(&workshop, level, split), IN_C, "program.c", "counted", "int (int)")
        };
        // The reported lines, each with its function.
        let lines = || {
            let report = inspect(&program);
            let keys = report["keys"].as_array().unwrap();
            let sites: Vec<&Value> = keys.iter().flat_map(|key| key["sites"].as_array().unwrap()).collect();
            let lines = sites.iter().filter_map(|site| {
                let Some(line) = site["line"].as_u64() else {
                    assert_eq!(site["file"], Value::Null, "{case:?}: {site:#}");
                    return None;
                };
                assert!(site["file"].as_str().unwrap().ends_with(file), "{case:?}: {site:#}");
                let function =
                    source.lines().nth(line as usize - 1).unwrap().split_once("// ").expect("a call").1;
                Some((function, site["function"].as_str().unwrap().ends_with(function)))
            });
            let mut lines: Vec<_> = lines.collect();
            lines.sort_unstable();
            (
                lines,
                key(&report, counted)["type"].clone(),
                report["unknown"].to_string().matches("split debug information").count(),
            )
        };
        let name = if language == "rust" { "rustc version " } else { "clang version " };
        let compilers = calls(&inspect(&program));
        assert!(
            compilers.len() == 3 && compilers.iter().all(|(_, compiler)| compiler.contains(name)),
            "{case:?}: {compilers:?}"
        );
        let has_types = !["line-tables-only", "-gline-tables-only", "-g1"].contains(&level);
        let ty = if has_types { ty.into() } else { Value::Null };
        assert_eq!(lines(), (vec![("call", true), ("plain", true), ("plain", true)], ty, 0), "{case:?}");
        if split.is_empty() || split == "off" {
            continue;
        }
        if language == "c" {
            let mut package = llvm("llvm-dwp");
            package.current_dir(directory).args(["-e", "program", "-o", "program.dwp"]);
            run(&mut package);
            let with_objects = lines();
            remove_split(directory, &["dwo", "o"]);
            assert_eq!(lines(), with_objects, "{case:?}");
        }
        remove_split(directory, &["dwo", "o", "dwp"]);
        // Only lines are left: in Rust those of the macro, and in C without the inlined function.
        let expected = match language {
            "c" => vec![("call", false), ("plain", true), ("plain", true)],
            _ => Vec::new(),
        };
        assert_eq!(lines(), (expected, Value::Null, 1), "{case:?}");
    }
}

fn remove_split(directory: &Path, ends: &[&str]) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            std::fs::remove_dir_all(&path).expect("a directory");
        } else if ends.iter().any(|&end| path.extension().is_some_and(|extension| extension == end)) {
            std::fs::remove_file(&path).expect("a file");
        }
    }
}

#[test]
fn a_file_without_the_pass() {
    let workshop = Workshop::new();
    let plain = || {
        let mut clang = plain_clang("clang");
        clang.arg("-DSTATIC_CALL_POINTERS").arg("-I").arg(prefix().join("include"));
        clang
    };
    for level in ["-O0", "-O2"] {
        let program = workshop.build(plain(), &["-g", level], level);
        let report = inspect(&program);
        assert_eq!((&report["is_image"], &report["sites"]), (&false.into(), &0.into()));
        assert_eq!(report["without_pass"].as_array().unwrap().len(), 4, "{level}: {report:#}");
        let (code, message) = requires(&program);
        assert_eq!(code, Some(1), "{message}");
        assert!(message.contains("compiled without the pass"), "{message}");
    }
    // Without debug information, loads are found in the code.
    let program = workshop.build(plain(), &["-O2"], "no-debug");
    let report = inspect(&program);
    assert_eq!(report["loads"].as_array().unwrap().len(), 4, "{report:#}");
    assert!(requires(&program).1.contains("counted is only loaded from memory"), "{report:#}");
    let [stripped, bare] = workshop.stripped(&program);
    for file in [stripped, bare] {
        assert_eq!(inspect(&file)["loads"].as_array().unwrap().len(), 4, "{}", file.display());
        assert_eq!(requires(&file).0, Some(1));
    }
}

/// For a call in nested inlined functions, the report says where each of them was called.
#[test]
fn chains_of_inlined_functions() {
    const CALLS: &str = "#include <static_call.h>\n\
        int one(int x) { return x + 1; }\n\
        DEFINE_STATIC_CALL(key, one);\n\
        static inline int inner(int x)\n\
        { return static_call(key, x) + 1; } // inner\n\
        static inline int outer(int x)\n\
        { if (x) { int y = x * 3; x += inner(y); } return x; } // outer\n\
        int main(int c, char **v)\n\
        { return !v + outer(c) == 0; } // main\n";
    let workshop = Workshop::new();
    let program = build(&workshop, &["-O2", "-g"], CALLS);
    let line = |mark: &str| CALLS.lines().position(|line| line.ends_with(mark)).expect(mark) + 1;
    let report = inspect(&program);
    let sites = key(&report, "key")["sites"].as_array().unwrap();
    assert_eq!(sites.len(), 1, "{report:#}");
    let told = |place: &Value| {
        (place["function"].as_str().unwrap().to_owned(), place["line"].as_u64().unwrap() as usize)
    };
    assert_eq!(told(&sites[0]), ("inner".into(), line("// inner")));
    assert_eq!(sites[0]["inlined_into"], "main");
    let chain: Vec<_> = sites[0]["inlined_at"].as_array().unwrap().iter().map(told).collect();
    assert_eq!(chain, [("outer".into(), line("// outer")), ("main".into(), line("// main"))]);
    let text = stdout(inspector().arg(&program));
    let file = workshop.path("one.c");
    let [inner, outer, main] =
        ["// inner", "// outer", "// main"].map(|mark| format!("{}:{}", file.display(), line(mark)));
    assert!(text.contains(&format!("{inner} inlined into {outer} inlined into {main}  ")), "{text}");
}

/// Keys from one macro share a path. Their places in the source or their symbols distinguish them.
#[test]
fn keys_of_one_name() {
    const KEYS: &str = "\
macro_rules! hook {
    ($call:ident) => {
        fn $call(x: u32) -> u32 {
            static_call::define! { static KEY: fn(x: u32) -> u32 = crate::one; }
            KEY.call(x)
        }
    };
}
fn one(x: u32) -> u32 {
    x + 1
}
mod inner {
    hook!(first); pub fn a(x: u32) -> u32 { first(x) }
    hook!(second); pub fn b(x: u32) -> u32 { second(x) }
}
fn main() {
    let x = std::env::args().count() as u32;
    println!(\"{}\", inner::a(x) + inner::b(x));
}
";
    let directory = tempfile::tempdir().expect("a temporary directory");
    for level in ["full", "none"] {
        let program = build_rust_of(wrapped_rustc(), directory.path(), level, "off", KEYS);
        let report = inspect(&program);
        let mut names: Vec<&str> =
            report["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        // Both have the line of the macro.
        let expected = ["first", "second"].map(|name| format!("main::inner::KEY (main::inner::{name}::KEY)"));
        assert_eq!(names, expected, "{level}");
    }
    // Local keys of two C files.
    let workshop = Workshop::new();
    let file = |name: &str| {
        format!(
            "#include <static_call.h>\nstatic int one(int x) {{ return x + 1; }}\n\
            static DEFINE_STATIC_CALL(key, one);\n\
             int {name}(int x) {{ return static_call(key, x) + static_call_update(key, one); }}\n"
        )
    };
    std::fs::write(workshop.path("program.c"), file("outer")).expect("a file");
    std::fs::write(workshop.path("main.c"), file("other") + MAIN).expect("a file");
    let report = inspect(&workshop.program());
    for name in ["program.c:3)", "main.c:3)"] {
        let keys = report["keys"].as_array().unwrap().iter();
        let named: Vec<_> = keys.filter(|key| key["name"].as_str().unwrap().ends_with(name)).collect();
        assert_eq!((named.len(), &named[0]["line"]), (1, &3.into()), "{report:#}");
        assert_eq!(named[0]["type"], "int (int)");
    }
}

#[test]
fn rust_without_the_pass() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for level in ["line-tables-only", "full"] {
        let program = build_rust(Command::new("rustc"), directory.path(), level, "off");
        let report = inspect(&program);
        let calls = report["unrecorded"].as_array().unwrap().iter();
        let mut calls: Vec<_> = calls
            .map(|call| {
                assert!(call["key"].as_str().unwrap().starts_with("main::inner::"), "{level}: {call:#}");
                let line = call["line"].as_u64().unwrap() as usize;
                IN_RUST.lines().nth(line - 1).unwrap().split_once("// ").expect("a call").1
            })
            .collect();
        calls.sort_unstable();
        assert_eq!(calls, ["call", "plain", "plain"], "{level}: {report:#}");
        for none in ["loads", "without_pass", "damage"] {
            assert_eq!(report[none], Value::Array(Vec::new()), "{level}: {none}");
        }
    }
}

/// The code of calls without the pass and without debug information: it computes a key's address and loads
/// from there. The address goes through the stack without optimization, and comes from the global offset
/// table if the key is another file's.
#[test]
fn loads_as_compilers_make_them() {
    const CALLS: &str = "#include <static_call.h>\n\
        int one(int x) { return x + 1; }\n\
        DEFINE_STATIC_CALL(exported, one);\n\
        static DEFINE_STATIC_CALL(local, one);\n\
        DECLARE_STATIC_CALL(away, int(int, int, int, int, int, int, int));\n\
        int tail(int a) { return static_call(exported, a); }\n\
        int call(int a) { return static_call(local, a) + 1; }\n\
        int other(int);\n\
        int loop(int a)\n\
        { for (int i = a; i--;) a += other(a) + static_call(away, a, a, a, a, a, a, a); return a; }\n\
        int update(int (*f)(int)) \
        { return static_call_update(exported, f) + static_call_update(local, f); }\n\
        int main(void) { return 0; }\n";
    const AWAY: &str = "#include <static_call.h>\n\
        int seven(int a, int b, int c, int d, int e, int f, int g) { return a + b + c + d + e + f + g; }\n\
        DEFINE_STATIC_CALL(away, seven);\n\
        int other(int x) { return x; }\n";
    let workshop = Workshop::new();
    let [calls, away, library, program] =
        ["calls.c", "away.c", "libaway.so", "calls"].map(|name| workshop.path(name));
    std::fs::write(&calls, CALLS).expect("a file");
    std::fs::write(&away, AWAY).expect("a file");
    let ways: [(&[&str], &Path); 6] = [
        (&["-fPIE", "-pie"], &library),
        (&["-fno-pie", "-no-pie"], &library),
        (&["-fPIC", "-pie"], &away),
        (&["-fPIC", "-fno-plt", "-pie"], &library),
        (&["-fPIC", "-shared"], &away),
        (&["-static"], &away),
    ];
    let expect = |program: &Path, case: &str| {
        let report = inspect(program);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let loads = report["loads"].as_array().unwrap().iter();
        let mut loads: Vec<_> = loads.map(|load| (text(&load["function"]), text(&load["key"]))).collect();
        loads.sort();
        loads.dedup(); // Unrolled loops have several copies.
        let expected = [("call", "local"), ("loop", "away"), ("tail", "exported")];
        assert_eq!(loads, expected.map(|(function, key)| (function.into(), key.into())), "{case}");
    };
    for compiler in ["clang", "gcc"] {
        let command = |flags: &[&str]| {
            let mut command = if compiler == "gcc" { Command::new("gcc") } else { plain_clang(compiler) };
            command.args(flags).arg("-DSTATIC_CALL_POINTERS").arg("-I").arg(prefix().join("include"));
            command
        };
        run(command(&["-fPIC", "-shared"]).arg(&away).arg("-o").arg(&library));
        for (flags, other) in ways {
            for level in ["-O0", "-O2"] {
                let mut command = command(flags);
                run(command.arg(level).args([&calls, other]).args(link_flags()).arg("-o").arg(&program));
                expect(&program, &format!("{compiler} {flags:?} {level}"));
            }
        }
    }
    // AArch64, without a C library.
    for (flags, link) in [(&["-fPIC"], "-shared"), (&["-fPIE"], "-pie"), (&["-fno-pie"], "-no-pie")] {
        for level in ["-O0", "-O2"] {
            let objects = [&calls, &away].map(|source| {
                let object = source.with_extension("o");
                let mut clang = plain_clang("clang");
                clang.args(flags).arg("-I").arg(prefix().join("include")).arg(level);
                clang.args(["-DSTATIC_CALL_POINTERS", "--target=aarch64-linux-gnu", "-ffreestanding", "-c"]);
                run(clang.arg(source).arg("-o").arg(&object));
                object
            });
            let mut lld = llvm("ld.lld");
            lld.args([link, "--unresolved-symbols=ignore-all", "-e", "main"]);
            run(lld.args(&objects).arg("-o").arg(&program));
            expect(&program, &format!("aarch64 {flags:?} {level}"));
        }
    }
}

/// Keys in C++ have qualified names, and namespaces are not taken for crates.
#[test]
fn keys_of_cpp() {
    const CPP: &str = "#include <static_call.h>\n\
        int one(int x) { return x + 1; }\n\
        namespace outer {\n\
        namespace { DEFINE_STATIC_CALL(hidden, one); }\n\
        struct Class { static inline DEFINE_STATIC_CALL(member, one); };\n\
        int calls(int x) { return static_call(hidden, x) + static_call_update(hidden, one); }\n\
        int member(int x) {\n\
        return static_call_at(Class::STATIC_CALL_TYPE(member), &Class::STATIC_CALL_KEY(member), x);\n\
        }\n\
        }\n\
        DEFINE_STATIC_CALL(plain, one);\n\
        int main(int c, char **) {\n\
        static DEFINE_STATIC_CALL(local, one);\n\
        return static_call(local, c) + static_call(plain, c) + static_call_update(local, one)\n\
        + outer::calls(c) + outer::member(c);\n\
        }\n";
    let workshop = Workshop::new();
    let [source, program] = ["program.cpp", "program"].map(|name| workshop.path(name));
    std::fs::write(&source, CPP).expect("a file");
    for has_pass in [true, false] {
        for flags in [&["-O1"][..], &["-O1", "-g"]] {
            let mut compiler = plain_clang("clang++");
            compiler.args(flags).arg("-DSTATIC_CALL_POINTERS").arg("-I").arg(prefix().join("include"));
            if has_pass {
                compiler.arg(format!("-fpass-plugin={}", plugin().display()));
            }
            run(compiler.arg(&source).arg("-o").arg(&program).args(link_flags()));
            let report = inspect(&program);
            let keys = report["keys"].as_array().unwrap().iter();
            let mut names: Vec<&str> = keys.map(|key| key["name"].as_str().unwrap()).collect();
            names.sort_unstable();
            let expected =
                ["main::local", "outer::(anonymous namespace)::hidden", "outer::Class::member", "plain"];
            assert_eq!(names, expected);
            assert_eq!(report["crates_without_pass"], Value::Array(Vec::new()), "{report:#}");
            let lost = report["files_without_pass"].to_string();
            let place = if flags.contains(&"-g") { "program.cpp\"]" } else { "main\",\"outer::calls(int)" };
            assert!(
                if has_pass { lost == "[]" } else { lost.contains(place) },
                "{has_pass} {flags:?}: {lost}"
            );
            let hint = stdout(inspector().arg(&program)).contains("`pkg-config --cflags static-call`");
            assert_eq!(hint, !has_pass);
        }
    }
}

/// Asking for a key's target, as Rust's `target` does, is not a call.
#[test]
fn a_query_is_no_call() {
    let workshop = Workshop::new();
    let ask = |body: &str| {
        let text = format!(
            "#include <static_call.h>\n{MAIN}\n#pragma GCC visibility push(hidden)\n\
             DECLARE_STATIC_CALL(unused, int(int));\n\
             void *ask(void) {{ volatile struct static_call_key *key = &STATIC_CALL_KEY(unused); {body} }}"
        );
        std::fs::write(workshop.path("main.c"), text).expect("a file");
        requires(&workshop.program())
    };
    let query = "unsigned form, after = key->__form; void *target;\
                 do { form = after; target = key->__target; after = key->__form; } while (form != after);\
                 return form & 3 ? 0 : target;";
    assert_eq!(ask(query), (Some(0), String::new()));
    let (code, message) = ask("return key->__target;");
    assert_eq!(code, Some(1));
    assert!(message.contains("unused is only loaded from memory"), "{message}");
}

#[test]
fn a_file_compiled_without_the_pass_beside_one_with_it() {
    let workshop = Workshop::new();
    let other = "#include <static_call.h>\nDECLARE_STATIC_CALL(counted, int(int));\
                 int main(int c, char **v) { return !v + static_call(counted, c) == 0; }";
    std::fs::write(workshop.path("other.c"), other).expect("a file");
    let [with, without] = ["with.o", "without.o"].map(|name| workshop.path(name));
    run(clang().args(["-O2", "-g", "-c"]).arg(workshop.path("program.c")).arg("-o").arg(&with));
    let mut plain = plain_clang("clang");
    plain.arg("-I").arg(prefix().join("include")).args(["-O2", "-g", "-c", "-DSTATIC_CALL_POINTERS"]);
    run(plain.arg(workshop.path("other.c")).arg("-o").arg(&without));
    let program = workshop.path("both");
    run(plain_clang("clang").args([&with, &without]).args(link_flags()).arg("-o").arg(&program));
    let report = inspect(&program);
    assert_eq!(addresses(&report).len(), 4);
    let lost = report["without_pass"].as_array().unwrap();
    assert_eq!(lost.len(), 1, "{report:#}");
    assert_eq!(lost[0]["function"], "main");
    assert_eq!(requires(&program).0, Some(1));
    // The program works.
    run(&mut Command::new(&program));

    // Loads in gcc's code without debug information are found whether or not another file has some.
    for flags in [&["-O2", "-c"][..], &["-O2", "-c", "-g"]] {
        run(clang().args(flags).arg(workshop.path("program.c")).arg("-o").arg(&with));
        let mut gcc = Command::new("gcc");
        gcc.arg("-I").arg(prefix().join("include")).args(["-O2", "-c", "-DSTATIC_CALL_POINTERS"]);
        run(gcc.arg(workshop.path("other.c")).arg("-o").arg(&without));
        run(plain_clang("clang").args([&with, &without]).args(link_flags()).arg("-o").arg(&program));
        let (code, message) = requires(&program);
        assert_eq!(code, Some(1), "{message}");
        assert!(
            message.contains("loads of keys' pointers may be calls that were not lowered: 1"),
            "{message}"
        );
    }
}

/// One key, called by code of three compilers in every way.
const CALLER: &str = "#include <static_call.h>\n\
    DECLARE_STATIC_CALL(counted, int(int));\n\
    int NAME(int x) { return static_call(counted, x) + 1; }\n";
const CALLED: &str = "#include <static_call.h>\n\
    static int one(int x) { return x + 1; }\n\
    DEFINE_STATIC_CALL(counted, one);\n\
    int pass(int), as(int), header(int), plain(int), pointer(int);\n\
    int main(int c, char **v)\n\
    { (void)v; return pass(c) + as(c) + header(c) + plain(c) + pointer(c) != 5 * (c + 2); }\n";

fn gcc(flags: &[&str]) -> Command {
    let mut gcc = Command::new("gcc");
    gcc.args(flags).arg("-I").arg(prefix().join("include"));
    gcc
}

/// gcc's version, and what clang and rustc say of themselves.
fn compilers_here() -> [String; 3] {
    let gcc = stdout(Command::new("gcc").arg("-dumpfullversion"));
    let clang = stdout(plain_clang("clang").arg("--version"));
    let rustc = stdout(Command::new("rustc").arg("--version"));
    let rustc = rustc.trim().replacen("rustc ", "rustc version ", 1);
    [gcc.trim().to_owned(), clang.lines().next().expect("a version").to_owned(), rustc]
}

/// Compiles and links a caller for each way to make a call.
fn build_every_way(workshop: &Workshop, debug: &[&str]) -> PathBuf {
    let recorder = format!("-B{}", prefix().join("lib/static-call/as").display());
    let mut plain = plain_clang("clang");
    plain.arg("-I").arg(prefix().join("include"));
    let ways = [
        ("pass", clang()),
        ("as", gcc(&[&recorder])),
        ("header", gcc(&[])),
        ("plain", plain),
        ("pointer", gcc(&["-DSTATIC_CALL_POINTERS"])),
    ];
    let mut objects = Vec::new();
    for (name, mut compiler) in ways {
        let [source, object] = ["c", "o"].map(|end| workshop.path(name).with_extension(end));
        std::fs::write(&source, CALLER.replace("NAME", name)).expect("a file");
        run(compiler.args(["-O1", "-c"]).args(debug).arg(source).arg("-o").arg(&object));
        objects.push(object);
    }
    let [source, program] = ["called.c", "every-way"].map(|name| workshop.path(name));
    std::fs::write(&source, CALLED).expect("a file");
    run(gcc(&["-O1"]).args(debug).arg(source).args(objects).arg("-o").arg(&program).args(link_flags()));
    program
}

#[cfg_attr(not(target_arch = "x86_64"), ignore = "the header has trampolines on Linux alone")]
#[test]
fn each_call_names_its_dispatch_and_its_compiler() {
    let workshop = Workshop::new();
    let [gcc, clang, rustc] = compilers_here();
    for debug in [&["-g"][..], &["-g1"], &["-g", "-gdwarf-4"]] {
        let program = build_every_way(&workshop, debug);
        run(&mut Command::new(&program));
        let report = inspect(&program);
        let found = calls(&report);
        let gcc_name = &found.iter().find(|(_, compiler)| compiler.starts_with("GNU C")).expect("gcc").1;
        assert!(gcc_name.ends_with(&format!(" {gcc}")), "without options: {gcc_name}");
        let expected = [
            ("inline", gcc_name),
            ("inline", &clang),
            ("pointer", gcc_name),
            ("trampoline", gcc_name),
            ("trampoline", &clang),
        ];
        let mut expected = expected.map(|(dispatch, compiler)| (dispatch.to_owned(), compiler.clone()));
        expected.sort();
        assert_eq!(found, expected, "{debug:?}: {report:#}");
        assert!(!report["unknown"].to_string().contains("the compilers of"), "{report:#}");

        // The text for people: each call, and a summary.
        let text = inspector().arg(&program).output().expect("it runs").stdout;
        let text = String::from_utf8(text).expect("UTF-8");
        let has = |line: &[&str]| {
            text.lines().any(|text| line.iter().all(|word| text.contains(word)) && text.ends_with(line[0]))
        };
        for (function, dispatch, compiler) in [
            ("pass", "inline", &clang),
            ("as", "inline", gcc_name),
            ("header", "trampoline", gcc_name),
            ("plain", "trampoline", &clang),
            ("pointer", "pointer", gcc_name),
        ] {
            let file = format!("{function}.c:3");
            assert!(has(&[compiler, &format!("  {dispatch}  "), &file]), "{function}: {text}");
        }
        let (_, summary) = text.split_once("calls by compiler:\n").expect("the summary");
        let counts: Vec<(&str, Vec<&str>)> = summary
            .lines()
            .skip(1)
            .take_while(|line| !line.is_empty())
            .map(|line| {
                let (name, counts) = line.trim().split_once("  ").expect("columns");
                (name, counts.split_whitespace().collect())
            })
            .collect();
        assert_eq!(counts, [(&*clang, vec!["1", "1", "0"]), (&**gcc_name, vec!["1", "1", "1"])]);
    }
    for (compiler, dispatch) in [(wrapped_rustc(), "inline"), (Command::new("rustc"), "trampoline")] {
        let program = build_rust(compiler, workshop.0.path(), "line-tables-only", "off");
        let found = calls(&inspect(&program));
        assert_eq!(found, vec![(dispatch.to_owned(), rustc.clone()); 3]);
    }
}

/// Without debug information, `.comment` may name the compiler, if it names but one.
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the header has trampolines on Linux alone")]
#[test]
fn the_compiler_of_a_file_without_debug_information() {
    let workshop = Workshop::new();
    let program = build_every_way(&workshop, &[]);
    // The compilers that the file's comment names, and the one of each call.
    let with_comment = |comment: Option<&[u8]>| {
        let [copy, text] = ["copy", "comment"].map(|name| workshop.path(name));
        let mut objcopy = Command::new("objcopy");
        objcopy.args(["--remove-section", ".comment"]);
        if let Some(comment) = comment {
            std::fs::write(&text, comment).expect("a file");
            objcopy.arg("--add-section").arg(format!(".comment={}", text.display()));
        }
        run(objcopy.arg(&program).arg(&copy));
        let report = inspect(&copy);
        let compilers: Vec<String> = calls(&report).into_iter().map(|(_, compiler)| compiler).collect();
        let unknown = report["unknown"].as_array().expect("a list").iter();
        let unknown = unknown.filter_map(|line| line.as_str()?.strip_prefix("the compilers of "));
        (compilers, unknown.map(str::to_owned).collect::<Vec<_>>())
    };
    // The load of the pointer is not known to be a call.
    let all = |name: &str| vec![name.to_owned(); 4];
    let only = with_comment(Some(b"GCC: (Debian 12.2.0-14) 12.2.0\0Linker: LLD 22.1.8\0mold 1.10.1\0"));
    assert_eq!(only, (all("GCC: (Debian 12.2.0-14) 12.2.0"), Vec::new()));
    let (compilers, unknown) = with_comment(Some(b"\0GCC: 12.2.0\0clang version 19\0GCC: 12.2.0\0"));
    assert_eq!((compilers, unknown.len()), (all("unknown"), 1));
    assert!(
        unknown[0].starts_with("4 calls: ")
            && unknown[0].ends_with("several (GCC: 12.2.0; clang version 19)"),
        "{unknown:?}"
    );
    let (compilers, unknown) = with_comment(None);
    assert_eq!((compilers, unknown.len()), (all("unknown"), 1));
    assert!(unknown[0].ends_with("its .comment names none"), "{unknown:?}");
}

/// Builds a program from one file.
fn build(workshop: &Workshop, flags: &[&str], source: &str) -> PathBuf {
    let [path, program] = ["one.c", "one"].map(|name| workshop.path(name));
    std::fs::write(&path, source).expect("a file");
    run(clang().args(flags).arg(&path).args(link_flags()).arg("-o").arg(&program));
    program
}

/// Calls that the pass could not lower are reported with the reason from its notes.
#[test]
fn calls_that_the_pass_left() {
    const CALLS: &str = "#include <static_call.h>\n\
        int one(int x) { return x + 1; }\n\
        static struct static_call_key table[2] = { STATIC_CALL_INIT(one), STATIC_CALL_INIT(one) };\n\
        __attribute__((noinline)) int first(int x) { return static_call_at(one, &table[0], x) * 2; }\n\
        __attribute__((noinline)) int indexed(int i, int x) { return INDEXED; }\n\
        int main(int c, char **v) { (void)v; return first(c) + indexed(c & 1, c) == 0; }\n";
    let workshop = Workshop::new();
    for flags in [&["-O0"][..], &["-O2", "-g"]] {
        let all = build(&workshop, flags, &CALLS.replace("INDEXED", "i + static_call_at(one, &table[1], x)"));
        assert_eq!(requires(&all), (Some(0), String::new()), "{flags:?}");
        let some =
            build(&workshop, flags, &CALLS.replace("INDEXED", "static_call_at(one, &table[i], x) * 3"));
        let (code, message) = requires(&some);
        assert_eq!(code, Some(1), "{flags:?}: {message}");
        assert!(message.contains("the key is not a constant at this place: 1"), "{message}");
        let report = inspect(&some);
        let left = report["left_indirect"].as_array().unwrap();
        assert_eq!((left.len(), &left[0]["function"]), (1, &"indexed".into()), "{report:#}");
        assert_eq!(report["loads"], Value::Array(Vec::new()), "{report:#}");
        assert!(stdout(inspector().arg(&some)).contains("not lowered: calls that load their key (1)"));
        // A use of the pointer as a value is not a call, but is reported.
        let value =
            "*(int (*volatile *)(int))&(int (*volatile){int}){static_call_fn_at(one, &table[1])} != 0";
        let value = value.replace("(int (*volatile){int})", "(int (*[1])(int))");
        let value = build(&workshop, flags, &CALLS.replace("INDEXED", &value));
        assert_eq!(requires(&value).0, Some(0), "{:#}", inspect(&value));
        let report = inspect(&value);
        assert_eq!(report["left_indirect"][0]["is_value"], true, "{report:#}");
    }
}

/// Code compiled with the pass and without a note has no such call: a key that only other files call is not a
/// fault.
#[test]
fn keys_that_nobody_calls() {
    let source = "#include <static_call.h>\nint one(int x) { return x + 1; }\nDEFINE_STATIC_CALL(key, one);\n\
        int main(int c, char **v) { return !v + static_call_update(key, one) + c == 7; }\n";
    let workshop = Workshop::new();
    let program = build(&workshop, &["-O2"], source);
    assert_eq!(requires(&program), (Some(0), String::new()));
    run(Command::new("strip").arg(&program));
    let (code, message) = requires(&program);
    assert_eq!(code, Some(1));
    assert!(message.contains("whether there is one is unknown"), "{message}");
}

/// Misaligned calls that cross two words: the runtime leaves them alone, and the inspector agrees.
#[test]
fn calls_across_words() {
    let mut source = String::from(
        "#include <static_call.h>\n#include <stdio.h>\nint one(int x) { return x + 1; }\n\
        DEFINE_STATIC_CALL(key, one);\n",
    );
    for number in 0..40 {
        let body = ["static_call(key, x) + x", "x > 3 ? static_call(key, x) : x", "static_call(key, x * x)"];
        source += &format!("int f{number}(int x) {{ return {}; }}\n", body[number % 3]);
    }
    source += "int main(void) { struct static_call_info info = {0}; static_call_process_info(&info);\n\
        printf(\"%zu %zu\\n\", info.sites, info.direct); return 0; }\n";
    let workshop = Workshop::new();
    let [path, assembler, program] = ["calls.c", "calls.s", "calls"].map(|name| workshop.path(name));
    std::fs::write(&path, source).expect("a file");
    run(clang().args(["-O1", "-S"]).arg(&path).arg("-o").arg(&assembler));
    let aligned = std::fs::read_to_string(&assembler).expect("assembler");
    let (mut moved, mut number) = (String::new(), 0);
    for line in aligned.lines() {
        // This many no-ops before some of them.
        number += usize::from(line.contains(".p2align\t3, 0x67, "));
        let shift = if line.contains(".p2align\t3, 0x67, ") { number % 8 } else { 0 };
        moved += &format!("{line}\n{}", "\tnop\n".repeat(shift));
    }
    for (text, is_moved) in [(aligned, false), (moved, true)] {
        std::fs::write(&assembler, text).expect("a file");
        run(plain_clang("clang").arg(&assembler).arg("-o").arg(&program).args(link_flags()));
        let said = stdout(&mut Command::new(&program));
        let (sites, direct) = said.trim().split_once(' ').expect("two numbers");
        let (sites, direct): (u64, u64) = (sites.parse().unwrap(), direct.parse().unwrap());
        assert_eq!((sites, direct < sites), (40, is_moved));
        let report = inspect(&program);
        let sites = key(&report, "key")["sites"].as_array().unwrap().iter();
        let stay = sites.filter(|site| site["stays_because"] != Value::Null).count() as u64;
        assert_eq!(stay, 40 - direct, "{report:#}");
        let (code, message) = requires(&program);
        assert_eq!(code, Some(i32::from(is_moved)), "{message}");
        assert!(
            !is_moved || message.contains(&format!("cannot be replaced atomically: {stay}")),
            "{message}"
        );
        assert_eq!(stdout(inspector().arg(&program)).contains("stays on its trampoline"), is_moved);
    }
}

/// Calls in a second segment of code become direct; calls in code that is not readable cannot be checked.
#[test]
fn more_segments_of_code() {
    let source = "#include <static_call.h>\n#include <stdio.h>\nint one(int x) { return x + 1; }\n\
        DEFINE_STATIC_CALL(key, one);\n\
        __attribute__((noinline)) int normal(int x) { return static_call(key, x) * 2; }\n\
        __attribute__((noinline, section(\".hot_text\"))) int hot(int x) \
        { return static_call(key, x) * 3; }\n\
        int main(void) { struct static_call_info info = {0}; static_call_process_info(&info);\n\
        printf(\"%zu %zu\\n\", info.sites, info.direct); return normal(1) + hot(1) != 10; }\n";
    let workshop = Workshop::new();
    let flags = ["-O2", "-fno-pie", "-no-pie", "-fuse-ld=lld", "-Wl,--section-start=.hot_text=0x8000000"];
    let program = build(&workshop, &flags, source);
    let agrees = |program: &Path, stay: usize, direct: &str| {
        let report = inspect(program);
        let sites = key(&report, "key")["sites"].as_array().unwrap();
        assert_eq!(sites.len(), 2, "{report:#}");
        let staying = sites.iter().filter(|site| site["stays_because"] != Value::Null).count();
        assert_eq!(staying, stay, "{report:#}");
        assert_eq!(requires(program).0, Some(i32::from(stay > 0)), "{report:#}");
        let said = stdout(&mut Command::new(program));
        assert_eq!(said.trim().rsplit_once(' ').expect("two numbers").1, direct, "{report:#}");
    };
    agrees(&program, 0, "2");
    // The rights of its segments of code, in the program headers.
    let data = std::fs::read(&program).expect("the program");
    let number = |at: usize| u32::from_le_bytes(data[at..at + 4].try_into().unwrap());
    let first = u64::from_le_bytes(data[32..40].try_into().unwrap()) as usize;
    let count = usize::from(u16::from_le_bytes([data[56], data[57]]));
    let headers = (0..count).map(|header| first + 56 * header);
    let code: Vec<usize> = headers.filter(|&at| number(at) == 1 && number(at + 4) & 1 != 0).collect();
    assert_eq!(code.len(), 2);
    for at in code {
        // The trampolines are in the other segment.
        let is_hot = number(at + 16) == 0x800_0000;
        let (stay, direct) = if is_hot { (1, "1") } else { (2, "0") };
        let mut data = data.clone();
        data[at + 4] &= !4;
        std::fs::remove_file(&program).expect("a file");
        std::fs::write(&program, data).expect("a file");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("a file");
        agrees(&program, stay, direct);
    }
}

/// Types in C's syntax: qualifiers, functions of functions, keys that are NULL, and keys of other files.
#[test]
fn types_of_c() {
    let types = [
        ("int (struct s *const, const struct s *)", "int f(struct s *const a, const struct s *b)"),
        ("int (const volatile int *volatile)", "int f(const volatile int *volatile a)"),
        ("void (void (*)(int), int (*)[])", "void f(void (*a)(int), int (*b)[4])"),
        ("void (*(int))(char)", "void (*f(int a))(char)"),
        ("struct s *(enum e, unsigned long, ...)", "struct s *f(enum e a, unsigned long b, ...)"),
        ("int **(void)", "int **f(void)"),
    ];
    let workshop = Workshop::new();
    for (expected, function) in types {
        let arguments = match function {
            _ if function.contains("f(void)") => "",
            _ if function.contains(',') => ", 0, 0",
            _ => ", 0",
        };
        let program = build(
            &workshop,
            &["-O1", "-g", "-Wno-everything"],
            &format!(
                "#include <static_call.h>\nstruct s {{ int x; }}; enum e {{ E }};\n\
                 __attribute__((noinline)) static {function} {{ asm volatile(\"\"); return 0; }}\n\
                 static DEFINE_STATIC_CALL(key, f); DEFINE_STATIC_CALL_NULL(hook, f);\n\
                 int main(int c, char **v) {{ if (c > 1) {{ static_call_update(key, (void *)v);\n\
                 static_call_update(hook, f); }} static_call_cond(hook{arguments}); \
                 static_call(key{arguments}); return 0; }}\n"
            ),
        );
        let report = inspect(&program);
        for name in ["key", "hook"] {
            assert_eq!(key(&report, name)["type"], expected, "{name}");
        }
        assert!(!report["unknown"].to_string().contains("the types of"), "{report:#}");
    }
    // The type of another file's key, in a file that calls it.
    let other = "#include <static_call.h>\nDECLARE_STATIC_CALL(away, int(char *const));\n\
        int main(void) { return static_call(away, 0) == 0; }\n";
    std::fs::write(workshop.path("away.c"), other).expect("a file");
    let library = workshop.path("libaway.so");
    let mut link = clang();
    link.args(["-O1", "-g", "-fPIC", "-shared"]).arg(workshop.path("away.c"));
    run(link.arg("-o").arg(&library));
    assert_eq!(key(&inspect(&library), "away")["type"], "int (char *const)");
    // Line tables have no types, and the report says so.
    let source = "#include <static_call.h>\nint one(int x) { return x + 1; }\nDEFINE_STATIC_CALL(key, one);\n\
        int main(int c, char **v) { return !v + static_call(key, c) == 7; }\n";
    let program = build(&workshop, &["-O1", "-gline-tables-only"], source);
    let report = inspect(&program);
    assert_eq!(key(&report, "key")["type"], Value::Null);
    assert!(report["unknown"].to_string().contains("the types of 1 key:"), "{report:#}");
}

/// What the runtime logs about a program's image at start; nothing if the image is not registered.
fn log(program: &Path) -> String {
    let output = Command::new(program).env("STATIC_CALL_LOG", "1").output().expect("it runs");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const UNREGISTERED: &str = "nothing registers this image: its constructor is not called, so every call stays \
     on its trampoline, and every branch looks at its key";

/// The tables are intact, but nothing registers them: the table of constructors was edited before linking.
#[test]
fn a_constructor_that_nothing_calls() {
    let workshop = Workshop::new();
    let object = |name: &str, flag: &str| {
        let object = workshop.path(name);
        run(clang().args(["-O2", "-c", flag]).arg(workshop.path("program.c")).arg("-o").arg(&object));
        object
    };
    let ways: [&[&str]; 7] = [
        &[],
        &["-fuse-ld=lld", "-Wl,-z,pack-relative-relocs"],
        &["-fuse-ld=gold"],
        &["-no-pie"],
        &["-static"],
        &["-static-pie"],
        &["-static", "-fuse-ld=lld", "-Wl,-s"],
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let has_symbols = !way.contains(&"-Wl,-s");
        for is_called in [true, false] {
            let object = object("program.o", if way.contains(&"-no-pie") { "-fno-pie" } else { "-fPIE" });
            if !is_called {
                run(Command::new("objcopy")
                    .args(["-R", ".init_array*", "-R", ".rela.init_array*"])
                    .arg(&object));
            }
            let program = workshop.path(&format!("program-{number}-{is_called}"));
            let mut link = plain_clang("clang");
            link.arg(&object).arg(workshop.path("main.c")).args(way).arg("-o").arg(&program);
            run(link.args(link_flags()));
            assert_eq!(log(&program).contains("4 sites of 3 keys, inline"), is_called, "{way:?}");
            let (code, message) = requires(&program);
            let report = inspect(&program);
            assert_eq!(report["sites"], 4, "{way:?}");
            // Without symbols it looks like any other constructor.
            if is_called || !has_symbols {
                assert_eq!((code, &report["idle_because"]), (Some(0), &Value::Null), "{way:?}: {message}");
            } else {
                assert_eq!((code, &report["idle_because"]), (Some(1), &UNREGISTERED.into()), "{way:?}");
                assert!(message.contains(UNREGISTERED), "{message}");
                assert!(stdout(inspector().arg(&program)).contains(UNREGISTERED), "{way:?}");
                assert_eq!(report["damage"], Value::Array(Vec::new()), "{way:?}");
            }
        }
    }
}

/// A linker that splits the module may lose the constructor, and LLD does not merge the older kind of table,
/// which no start file runs. Then nothing registers the image, and the inspector says so.
#[test]
fn constructors_that_linkers_lose() {
    let workshop = Workshop::new();
    let load = format!("-Wl,--load-pass-plugin={}", plugin().display());
    let split = ["-flto", "-fuse-ld=lld", &load];
    let ways: [&[&str]; 5] = [
        &[&split[..], &["-Wl,--lto-partitions=2"]].concat(),
        &[&split[..], &["-Wl,--lto-partitions=5"]].concat(),
        &[&split[..], &["-Wl,--lto-partitions=9"]].concat(),
        &["-fno-use-init-array"],
        &["-fno-use-init-array", "-fuse-ld=lld"],
    ];
    for way in ways {
        let program = workshop.build(clang(), &[&["-O2"], way].concat(), "program");
        let is_registered = log(&program).contains("image at");
        let (code, message) = requires(&program);
        assert_eq!(code, Some(if is_registered { 0 } else { 1 }), "{way:?}: {message}");
        assert_eq!(message.contains(UNREGISTERED), !is_registered, "{way:?}: {message}");
    }
}

/// With LLD's `-N`, the ELF header is not in memory, through which the runtime finds the code.
#[test]
fn a_header_that_is_not_in_memory() {
    const REASON: &str = "its header is not in memory";
    let workshop = Workshop::new();
    let flags = ["-O2", "-fno-pie", "-no-pie", "-static", "-fuse-ld=lld"];
    for more in [&[][..], &["-Wl,-N"], &["-Wl,-N,-s"]] {
        let program = workshop.build(clang(), &[&flags[..], more].concat(), "program");
        let is_there = more.is_empty();
        let log = log(&program);
        assert_eq!(log.contains(REASON), !is_there, "{log}");
        let (code, message) = requires(&program);
        assert_eq!(
            (code, message.contains(REASON)),
            (Some(if is_there { 0 } else { 1 }), !is_there),
            "{message}"
        );
    }
}

/// A copy of the runtime without operating system support patches nothing by itself.
#[test]
fn a_runtime_without_the_operating_system() {
    const DOUBT: &str = "built without the feature";
    let workshop = Workshop::new();
    let directory = target().join("tests/inspect-without-os");
    let mut cargo = cargo(None, &root().join("runtime"));
    cargo.env("RUSTC_WRAPPER", prefix().join("bin/static-call-rustc"));
    run(cargo.args(["build", "--quiet", "--no-default-features", "--target-dir"]).arg(&directory));
    let with = (RUNTIME.0.clone(), RUNTIME.1.clone());
    let without = (directory.join("debug/libstatic_call.rlib"), directory.join("debug/deps"));
    std::fs::write(workshop.path("main.rs"), IN_RUST).expect("a file");
    for (has_os, (library, dependencies)) in [(true, with), (false, without)] {
        let mut rustc = wrapped_rustc();
        rustc
            .current_dir(workshop.0.path())
            .args(["main.rs", "--edition=2024", "-O", "-L"])
            .arg(dependencies);
        run(rustc.arg("--extern").arg(format!("static_call={}", library.display())));
        let program = workshop.path("main");
        assert_eq!(log(&program).contains("inline"), has_os);
        let report = inspect(&program);
        assert_eq!(report["unknown"].to_string().contains(DOUBT), !has_os, "{report:#}");
        let mut doctor = Command::new(prefix().join("bin/cargo-static-call"));
        let doctor = doctor.args(["static-call", "doctor"]).arg(&program).output().expect("it runs");
        let said = String::from_utf8_lossy(&doctor.stdout);
        assert_eq!(said.contains(r#"built without its feature "os""#), !has_os, "{said}");
        run(Command::new("strip").arg(&program));
        assert!(!inspect(&program)["unknown"].to_string().contains(DOUBT));
    }
}

/// A file with keys in which nothing shows the code that calls them.
#[test]
fn a_program_without_a_recorded_call() {
    let workshop = Workshop::new();
    let program = workshop.build(clang(), &["-O2", "-mcmodel=large", "-fPIE", "-pie"], "large");
    let (code, message) = requires(&program);
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("no call is recorded"), "{message}");
}

#[test]
fn a_key_of_another_file() {
    let workshop = Workshop::new();
    let library = workshop.path("libkeys.so");
    run(clang().args(["-O2", "-g", "-fPIC", "-shared"]).arg(source("shared_left.c")).arg("-o").arg(&library));
    let report = inspect(&library);
    assert_eq!(addresses(&report), StaticCalls::read(&library).recorded);
    let imported: Vec<&Value> =
        report["keys"].as_array().unwrap().iter().filter(|key| key["address"] == Value::Null).collect();
    assert!(!imported.is_empty(), "{report:#}");
    for key in imported {
        assert!(!key["sites"].as_array().unwrap().is_empty(), "{report:#}");
        assert!(!key["name"].as_str().unwrap().starts_with("__static_call"), "{report:#}");
    }
    assert_eq!(requires(&library).0, Some(0));
}

/// The file offset and the address of a section.
fn section(data: &[u8], name: &str) -> (usize, u64, usize) {
    let file = object::File::parse(data).expect("an ELF file");
    let section = file.section_by_name(name).expect(name);
    let (offset, size) = section.file_range().expect("bytes");
    (offset as usize, section.address(), size as usize)
}

#[test]
fn a_branch_that_is_not_recorded() {
    let workshop = Workshop::new();
    let program = workshop.program();
    let mut data = std::fs::read(&program).expect("the program");
    let (offset, address, size) = section(&data, "static_call_sites");
    let at = (offset..offset + size).step_by(4).find(|&at| data[at..at + 4] != [0; 4]).expect("an entry");
    let entry = i32::from_le_bytes(data[at..at + 4].try_into().unwrap());
    let lost = (address + (at - offset) as u64).wrapping_add_signed(entry.into());
    data[at..at + 4].fill(0);
    let victim = workshop.path("victim");
    std::fs::write(&victim, &data).expect("a file");
    let report = inspect(&victim);
    assert_eq!(addresses(&report).len(), 3);
    let unrecorded = report["unrecorded"].as_array().unwrap();
    assert_eq!(unrecorded.len(), 1, "{report:#}");
    assert_eq!(unrecorded[0]["address"], lost);
    let (code, message) = requires(&victim);
    assert_eq!(code, Some(1));
    assert!(message.contains("branches to trampolines are not recorded: 1"), "{message}");

    // An entry that refers to something else.
    data[at..at + 4].copy_from_slice(&(entry + 1).to_le_bytes());
    std::fs::write(&victim, &data).expect("a file");
    let report = inspect(&victim);
    let damage = report["damage"].to_string();
    assert!(damage.contains(&format!("{:#x}, which does not call a trampoline", lost + 1)), "{damage}");
    let (code, message) = requires(&victim);
    assert_eq!(code, Some(1));
    assert!(message.contains("its tables are damaged"), "{message}");
}

/// Handwritten tables for machines that the pass does not support yet.
fn tables(pointer: &str, align: u32, call: &str, trampoline: &str) -> String {
    format!(
        ".text\n.globl caller\n.type caller, STT_FUNC\ncaller:\n.p2align 3\nsite: {call}\n\
         .size caller, .-caller\n\
         .p2align 3\n.long {signature}\n.long record-trampoline\n.type trampoline, STT_FUNC\n\
         trampoline:\n{trampoline}\n\
         .size trampoline, .-trampoline\n.globl target\n.type target, STT_FUNC\ntarget: .long 0, 0\n\
         .size target, 8\n\
         .section .rodata\nname: .asciz \"abroad\"\n\
         .section static_call_keys,\"aw\"\n.p2align {align}\n{pointer} 0\n\
         .type key, STT_OBJECT\nkey: {pointer} target, 0, 0, name\n.long 0, {version} << 16\n\
         .size key, .-key\n\
         .section static_call_records,\"aw\"\n.p2align {align}\nrecord: {pointer} key, 0, 0\n\
         .long 0, trampoline-record, 0, 0\n\
         .section static_call_sites,\"aw\"\n.long 0\nentry: .long site-entry\n",
        signature = "SIGNATURE",
        version = static_call_abi::VERSION,
    )
}

#[test]
fn other_machines() {
    let workshop = Workshop::new();
    // Both byte orders, both sizes of pointers.
    let machines = [
        (
            "s390x-linux-gnu",
            ".quad",
            3,
            "brasl %r14, trampoline",
            "lgrl %r1, key\nbr %r1\n.long 0",
            "s390x",
            true,
        ),
        ("i686-linux-gnu", ".long", 2, "call trampoline", "jmp *key\nint3\nint3", "i386", false),
        ("armv7-linux-gnueabihf", ".long", 2, "bl trampoline", "nop\nldr pc, =target\n.ltorg", "arm", false),
        ("riscv64-linux-gnu", ".quad", 3, "jal trampoline", "nop\nnop\nnop\nnop", "riscv64", false),
        ("loongarch64-linux-gnu", ".quad", 3, "bl trampoline", "nop\nnop\nnop\nnop", "loongarch", false),
        ("powerpc64le-linux-gnu", ".quad", 3, "bl trampoline", "nop\nnop\nnop\nnop", "powerpc64", false),
    ];
    for (triple, pointer, align, call, trampoline, name, is_big) in machines {
        let signature = static_call_abi::SIGNATURE;
        let text = tables(pointer, align, call, trampoline).replace("SIGNATURE", &signature.to_string());
        let [assembler, object, program] = ["abroad.s", "abroad.o", "abroad"].map(|name| workshop.path(name));
        std::fs::write(&assembler, text).expect("a file");
        let mut clang = llvm("clang");
        if triple.starts_with("riscv") {
            clang.args(["-march=rv64imafd", "-mno-relax"]);
        }
        run(clang.arg(format!("--target={triple}")).arg("-c").arg(&assembler).arg("-o").arg(&object));
        run(llvm("ld.lld").args(["-e", "caller"]).arg(&object).arg("-o").arg(&program));
        let report = inspect(&program);
        let kind = report["kind"].as_str().unwrap();
        assert!(
            kind.contains(name) && kind.contains(if is_big { "big-endian" } else { "little-endian" }),
            "{kind}"
        );
        let key = key(&report, "abroad");
        assert_eq!(key["default_target"], "target", "{triple}: {report:#}");
        let sites = key["sites"].as_array().unwrap();
        assert_eq!(sites.len(), 1, "{triple}: {report:#}");
        assert_eq!(
            (&sites[0]["kind"], &sites[0]["function"]),
            (&"call".into(), &"caller".into()),
            "{triple}"
        );
        assert_eq!(requires(&program).0, Some(0), "{triple}: {report:#}");
    }
}

/// A full disk is an error.
#[test]
fn what_cannot_be_printed() {
    let workshop = Workshop::new();
    let program = workshop.program();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let output = inspector().arg(&program).stdout(full).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot print"), "{output:?}");
}

/// The pass supports aarch64. It does not support MIPS, whose instructions the inspector cannot decode.
#[test]
fn programs_of_other_machines() {
    let workshop = Workshop::new();
    let build = |triple: &str, flags: &[&str]| {
        let (object, library) = (workshop.path("abroad.o"), workshop.path(triple));
        let mut clang = clang();
        clang.arg(format!("--target={triple}")).args(["-O2", "-fPIC", "-ffreestanding", "-c"]).args(flags);
        run(clang.arg(workshop.path("program.c")).arg("-o").arg(&object));
        run(llvm("ld.lld").arg("-shared").arg(&object).arg("-o").arg(&library));
        library
    };
    for triple in [
        "aarch64-linux-gnu",
        "armv7-linux-gnueabihf",
        "i686-linux-gnu",
        "loongarch64-linux-gnu",
        "powerpc64le-linux-gnu",
        "riscv64-linux-gnu",
        "s390x-linux-gnu",
    ] {
        // In some code models, entries of the site table have eight bytes.
        let models: &[&[&str]] = if triple.starts_with("riscv64") {
            &[&["-mcmodel=medlow"], &["-mcmodel=medany"]]
        } else {
            &[&[]]
        };
        for model in models {
            let library = build(triple, &[&["-g"][..], model].concat());
            let report = inspect(&library);
            assert_eq!(addresses(&report).len(), 4, "{triple}: {report:#}");
            let nothing = Value::Array(Vec::new());
            let loads = if triple.starts_with("aarch64") { &nothing } else { &Value::Null };
            assert_eq!((&report["loads"], &report["damage"]), (loads, &nothing), "{triple}");
            assert_eq!(requires(&library).0, Some(0), "{triple}");
            let is_long = ["loongarch64", "powerpc64le"].iter().any(|name| triple.starts_with(name))
                || model.contains(&"-mcmodel=medany");
            let entry = if is_long { 8 } else { 4 };
            assert_eq!(report["overhead"]["sites"], 4 * entry, "{triple}: {report:#}");
        }
    }

    let library = build("mips-linux-gnu", &[]);
    let report = inspect(&library);
    assert!(report["kind"].as_str().unwrap().starts_with("mips, 32 bits, big-endian"), "{report:#}");
    assert_eq!(report["keys"].as_array().unwrap().len(), 4, "{report:#}");
    assert!(report["unknown"].to_string().contains("cannot decode instructions of mips"), "{report:#}");
    assert_eq!(requires(&library).0, Some(1));
}

/// Each error says what happened and what to do, and none is a crash, which has another exit code.
#[test]
fn files_that_are_not_programs() {
    let workshop = Workshop::new();
    let program = std::fs::read(workshop.program()).expect("the program");
    let refuse = |path: &Path, expected: &str| {
        let output = inspector().arg(path).output().expect("it runs");
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{}: {message}", path.display());
        assert!(message.contains(expected), "{}: {message}", path.display());
        assert!(message.contains(&path.display().to_string()), "{message}");
    };
    let victim = workshop.path("victim");
    for (content, expected) in [
        (&b""[..], "is neither an ELF file nor a PE file"),
        (b"#!/bin/sh\n", "is neither an ELF file nor a PE file"),
        (b"\x7fELF", "is neither an ELF file nor a PE file"),
        (b"!<arch>\nprogram.o/      0", "is an archive"),
        (&program[..program.len() / 2], "is truncated or damaged"),
        (&program[..64], "is truncated or damaged"),
    ] {
        std::fs::write(&victim, content).expect("a file");
        refuse(&victim, expected);
    }
    let object = workshop.path("program.o");
    run(clang().arg("-c").arg(workshop.path("program.c")).arg("-o").arg(&object));
    refuse(&object, "inspect the program or shared object that it is linked into");
    refuse(workshop.0.path(), "is not a regular file");
    refuse(Path::new("/dev/zero"), "is not a regular file");
    refuse(&workshop.path("missing"), "No such file");
    let output = inspector().output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
}
