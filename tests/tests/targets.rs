//! The pass on every target of LLVM, and with every object format.
//!
//! For each target, the pass gets one module with every kind of call. If the target has no recorded sites,
//! the result must be exactly the module that a person would have written with loads of the key, and contain
//! nothing of ours. Then code generation must accept it, with the machine stage loaded.
//!
//! Many targets refuse some kind of call. The table says which, and the test checks that they refuse it
//! without the pass too, so the table cannot hide a failure that the pass adds.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use object::{Object, ObjectSection};
use static_call_abi::{COFF_ANCHOR_SECTIONS, COFF_SECTIONS, SITES_SECTION};
use static_call_tests::{llvm, plugin, prefix, stdout};

/// The pass's replacement of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lowering {
    /// Direct calls of trampolines, recorded.
    Sites,
    /// The same on a processor without atomic instructions: a use other than a call calls libatomic.
    SitesLibrary,
    /// An acquire load of the key.
    Acquire,
    /// The same, on a processor without atomic instructions: code generation calls libatomic.
    Library,
    /// A relaxed load and a fence.
    Fence,
    /// A volatile load.
    Volatile,
    /// An ordinary load.
    Plain,
}
use Lowering::{Acquire, Fence, Library, Plain, Sites, SitesLibrary, Volatile};

impl Lowering {
    fn has_sites(self) -> bool {
        matches!(self, Sites | SitesLibrary)
    }
}

/// A row: the target's name as `llc --version` prints it, a triple, the replacement of calls, and the
/// features that code generation refuses without the pass too (names of [`FEATURES`], and [`OBJECT`]).
type Row = (&'static str, &'static str, Lowering, &'static [&'static str]);

/// Writing an object file, which is not a kind of call.
const OBJECT: &str = "object";

/// GPUs call nothing through a pointer.
const CALLS: &[&str] = &["call", "tail", "musttail", "array", "variadic", "sret", "invoke"];

#[rustfmt::skip]
const TARGETS: &[Row] = &[
    ("aarch64", "aarch64-unknown-linux-gnu", Sites, &[]),
    ("aarch64", "aarch64-pc-windows-msvc", Acquire, &[]),
    ("aarch64", "arm64ec-pc-windows-msvc", Acquire, &[]),
    ("aarch64_32", "aarch64_32-apple-watchos", Acquire, &[]),
    ("aarch64_be", "aarch64_be-unknown-linux-gnu", Acquire, &[]),
    ("amdgcn", "amdgcn-amd-amdhsa", Acquire, &[]),
    ("arm", "armv7-unknown-linux-gnueabihf", Sites, &[]),
    ("arm", "arm-none-eabi", Library, &[]),
    ("arm64", "arm64-apple-macosx", Acquire, &[]),
    ("arm64_32", "arm64_32-apple-watchos", Acquire, &[]),
    ("armeb", "armebv7-unknown-linux-gnueabi", Acquire, &[]),
    ("avr", "avr-unknown-unknown", Acquire, &[]),
    ("bpf", "bpf-unknown-none", Volatile, &["invoke"]),
    ("bpfeb", "bpfeb-unknown-none", Volatile, &["invoke"]),
    ("bpfel", "bpfel-unknown-none", Volatile, &["invoke"]),
    ("hexagon", "hexagon-unknown-linux-musl", Acquire, &[]),
    ("lanai", "lanai-unknown-unknown", Volatile, &["invoke"]),
    ("loongarch32", "loongarch32-unknown-linux-gnu", Acquire, &[]),
    ("loongarch64", "loongarch64-unknown-linux-gnu", Sites, &[]),
    ("m68k", "m68k-unknown-linux-gnu", Acquire, &[]),
    ("mips", "mips-unknown-linux-gnu", Acquire, &["musttail"]),
    ("mips64", "mips64-unknown-linux-gnuabi64", Acquire, &["musttail"]),
    ("mips64el", "mips64el-unknown-linux-gnuabi64", Acquire, &["musttail"]),
    ("mipsel", "mipsel-unknown-linux-gnu", Acquire, &["musttail"]),
    ("msp430", "msp430-none-elf", Volatile, &["invoke"]),
    ("nvptx", "nvptx-nvidia-cuda", Fence, &[OBJECT]),
    ("nvptx64", "nvptx64-nvidia-cuda", Fence, &[OBJECT]),
    ("ppc32", "powerpc-unknown-linux-gnu", Acquire, &["musttail"]),
    ("ppc32", "powerpc-ibm-aix", Acquire, &["musttail"]),
    ("ppc32le", "powerpcle-unknown-linux-gnu", Acquire, &["musttail"]),
    ("ppc64", "powerpc64-unknown-linux-gnu", Acquire, &["musttail"]),
    ("ppc64", "powerpc64-ibm-aix", Acquire, &["musttail"]),
    ("ppc64le", "powerpc64le-unknown-linux-gnu", Sites, &["musttail"]),
    ("r600", "r600-unknown-unknown", Plain, CALLS),
    ("riscv32", "riscv32-unknown-linux-gnu", Library, &[]),
    ("riscv32be", "riscv32be-unknown-linux-gnu", Library, &[]),
    ("riscv64", "riscv64-unknown-linux-gnu", SitesLibrary, &[]),
    ("riscv64be", "riscv64be-unknown-linux-gnu", Library, &[]),
    ("sparc", "sparc-unknown-linux-gnu", Library, &[]),
    ("sparcel", "sparcel-unknown-linux-gnu", Library, &[]),
    ("sparcv9", "sparcv9-unknown-linux-gnu", Acquire, &[]),
    ("spirv", "spirv-unknown-vulkan1.3", Acquire, CALLS),
    ("spirv32", "spirv32-unknown-unknown", Acquire, CALLS),
    ("spirv64", "spirv64-unknown-unknown", Acquire, CALLS),
    ("systemz", "s390x-unknown-linux-gnu", Sites, &[]),
    ("systemz", "s390x-ibm-zos", Acquire, &[]),
    ("thumb", "thumbv7em-none-eabihf", Acquire, &[]),
    ("thumb", "thumbv6m-none-eabi", Library, &["musttail"]),
    ("thumb", "thumbv7-pc-windows-msvc", Acquire, &[]),
    ("thumbeb", "thumbebv7-none-eabi", Acquire, &[]),
    ("ve", "ve-unknown-linux-gnu", Acquire, &[]),
    ("wasm32", "wasm32-unknown-unknown", Acquire, &["musttail"]),
    ("wasm32", "wasm32-wasip1", Acquire, &["musttail"]),
    ("wasm64", "wasm64-unknown-unknown", Acquire, &["musttail"]),
    ("x86", "i686-unknown-linux-gnu", Sites, &[]),
    ("x86", "i686-unknown-none-elf", Sites, &[]),
    ("x86", "i686-pc-windows-msvc", Acquire, &[]),
    ("x86-64", "x86_64-unknown-linux-gnu", Sites, &[]),
    ("x86-64", "x86_64-unknown-none-elf", Sites, &[]),
    ("x86-64", "x86_64-unknown-linux-gnux32", Acquire, &[]),
    ("x86-64", "x86_64-apple-macosx", Acquire, &[]),
    ("x86-64", "x86_64-pc-windows-msvc", Sites, &[]),
    ("x86-64", "x86_64-pc-windows-gnu", Sites, &[]),
    ("xcore", "xcore-unknown-unknown", Library, &[OBJECT]),
    ("xtensa", "xtensa-unknown-elf", Library, &["invoke", OBJECT]),
];

/// Kinds of call, each in a function of its own. `READ @key` loads the key's pointer into `%f`; `AT` is the
/// address space of code.
const FEATURES: &[(&str, &str)] = &[
    (
        "call",
        "define i32 @call(i32 %a) {
           READ @key
           %r = call AT i32 %f(i32 %a)
           %s = add i32 %r, 1
           ret i32 %s
         }",
    ),
    (
        "tail",
        "define i32 @tail(i32 %a) {
           READ @key
           %r = tail call AT i32 %f(i32 %a)
           ret i32 %r
         }",
    ),
    (
        "musttail",
        "define i32 @musttail(i32 %a) {
           READ @key
           %r = musttail call AT i32 %f(i32 %a)
           ret i32 %r
         }",
    ),
    (
        "array",
        "define i32 @array(i32 %a) {
           READ @second
           %r = call AT i32 %f(i32 %a)
           %s = add i32 %r, 1
           ret i32 %s
         }",
    ),
    (
        "variadic",
        "define i32 @variadic(i32 %a) {
           READ @variadic_key
           %r = call AT i32 (i32, ...) %f(i32 1, i32 %a)
           %s = add i32 %r, 1
           ret i32 %s
         }",
    ),
    (
        "sret",
        "define void @sret(ptr %m) {
           READ @sret_key
           call AT void %f(ptr sret({ i64, i64, i64 }) %m, i32 1)
           ret void
         }",
    ),
    (
        "invoke",
        "define i32 @invoke() personality ptr AT @__gxx_personality_v0 {
           READ @key
           %r = invoke AT i32 %f(i32 1) to label %next unwind label %pad
         next:
           ret i32 %r
         pad:
           %l = landingpad { ptr, i32 } cleanup
           resume { ptr, i32 } %l
         }",
    ),
    (
        "value",
        "define ptr AT @value() {
           READ @key
           ret ptr AT %f
         }",
    ),
];

/// The number of calls among them.
const SITES: u64 = 7;

fn row_name(row: &Row) -> String {
    format!("{} ({})", row.0, row.1)
}

/// A module with these features, which reads each key by these instructions.
fn module(row: &Row, features: &[&str], read: &str) -> String {
    // The default address space of globals in C for this target.
    let space = match row.0 {
        "amdgcn" | "r600" | "nvptx" | "nvptx64" | "spirv" | "spirv32" | "spirv64" => " addrspace(1)",
        _ => "",
    };
    let code = if row.0 == "avr" { "addrspace(1)" } else { "" };
    let address = |global: &str, offset: &str| match space {
        "" => format!("{offset}@{global}"),
        _ => format!("{offset}addrspacecast (ptr{space} @{global} to ptr)"),
    };
    let mut text = format!(
        "%struct.static_call_key = type {{ ptr, ptr, ptr, ptr, i32, i32 }}
         @key ={space} global %struct.static_call_key zeroinitializer, align 8
         @variadic_key ={space} global %struct.static_call_key zeroinitializer, align 8
         @sret_key ={space} global %struct.static_call_key zeroinitializer, align 8
         @keys ={space} global [2 x %struct.static_call_key] zeroinitializer, align 8\n"
    );
    for (name, function) in FEATURES.iter().filter(|(name, _)| features.contains(name)) {
        if *name == "invoke" {
            text += "declare i32 @__gxx_personality_v0(...)\n";
        }
        let second = format!("getelementptr (%struct.static_call_key, ptr {}, i32 1)", address("keys", ""));
        for line in function.lines() {
            match line.trim().strip_prefix("READ @") {
                Some("second") => text += &read.replace("KEY", &second),
                Some(key) => text += &read.replace("KEY", &address(key, "")),
                None => text += line,
            }
            text += "\n";
        }
    }
    if read.contains("__static_call_target") {
        text += "declare ptr AT @__static_call_target(ptr)\n";
    }
    text.replace("AT ", &if code.is_empty() { String::new() } else { format!("{code} ") })
}

const INTRINSIC: &str = "%f = call AT ptr AT @__static_call_target(ptr KEY)";
const PLAIN: &str = "%f = load ptr AT , ptr KEY";

/// The code that a person would write instead of the intrinsic.
fn load(row: &Row) -> &'static str {
    match row.2 {
        Sites | SitesLibrary => unreachable!("sites are not loads"),
        Acquire | Library => "%f = load atomic volatile ptr AT , ptr KEY acquire, align WORD",
        Fence => "%f = load atomic volatile ptr AT , ptr KEY monotonic, align WORD\nfence acquire",
        Plain => PLAIN,
        Volatile => "%f = load volatile ptr AT , ptr KEY, align WORD",
    }
}

/// Runs a program of LLVM on this input.
fn pipe(command: &mut Command, input: &[u8]) -> Output {
    // Refused code often crashes the compiler, and the backtrace would be noise.
    let mut child = command
        .env("LLVM_DISABLE_SYMBOLIZATION", "1")
        .env("LLVM_DISABLE_CRASH_REPORT", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    std::thread::scope(|scope| {
        // The program may exit before it has read all input.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("a result")
    })
}

fn succeeded(output: Output, what: &str) -> Result<Vec<u8>, String> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{what}: {}: {}", output.status, message.lines().take(4).collect::<Vec<_>>().join("\n")))
}

/// Reads a module with the target's data layout and prints it.
fn opt(row: &Row, text: &str, lower: bool) -> Result<String, String> {
    let mut opt = llvm("opt");
    opt.args(["-S", "-mtriple", row.1]);
    if lower {
        opt.arg("-load-pass-plugin").arg(plugin()).arg("-passes=static-call,verify");
    } else {
        opt.arg("-passes=verify");
    }
    let printed =
        succeeded(pipe(&mut opt, text.as_bytes()), if lower { "opt with the pass" } else { "opt" })?;
    Ok(String::from_utf8(printed).expect("UTF-8"))
}

/// Generates code, with the machine stage if `load`.
fn llc(module: &str, level: &str, file: &str, load: bool) -> Result<Vec<u8>, String> {
    let mut llc = llvm("llc");
    llc.args([level, "-filetype", file, "-o", "-"]);
    if load {
        llc.arg("-load-pass-plugin").arg(plugin());
        // Lanai's and VE's own passes fail the verifier.
        llc.args(module.contains("__static_call_trampoline").then_some("-verify-machineinstrs"));
    }
    succeeded(pipe(&mut llc, module.as_bytes()), &format!("llc {level} {file}"))
}

/// The features that code generation refuses without the pass.
fn refused(row: &Row) -> Result<Vec<&'static str>, String> {
    let mut refused = Vec::new();
    for (name, _) in FEATURES {
        let plain = opt(row, &module(row, &[*name], PLAIN), false)?;
        if ["-O0", "-O2"].iter().any(|level| llc(&plain, level, "asm", false).is_err()) {
            refused.push(*name);
        }
    }
    Ok(refused)
}

/// Runs a check for each row of a table, on all processors, and reports every failure.
fn for_each(rows: &[Row], check: impl Fn(&Row) -> Result<(), String> + Sync) {
    // This panics if nothing is installed, once instead of in every thread.
    assert!(prefix().exists());
    let next = Mutex::new(rows.iter());
    let failures = Mutex::new(String::new());
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                loop {
                    let Some(row) = next.lock().expect("not poisoned").next() else { return };
                    if let Err(failure) = check(row) {
                        let mut failures = failures.lock().expect("not poisoned");
                        writeln!(failures, "{}: {failure}", row_name(row)).expect("a string");
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("not poisoned");
    assert!(failures.is_empty(), "\n{failures}");
}

#[test]
fn every_registered_target_has_a_row() {
    let version = stdout(llvm("llc").arg("--version"));
    let (_, registered) = version.split_once("Registered Targets:\n").expect("a list of targets");
    let registered: Vec<&str> =
        registered.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(registered.len() > 40, "{registered:?}");
    for target in &registered {
        assert!(
            TARGETS.iter().any(|row| row.0 == *target),
            "add a row for LLVM's target `{target}` to the table in tests/tests/targets.rs"
        );
    }
    for row in TARGETS {
        assert!(registered.contains(&row.0), "this LLVM has no target `{}`", row.0);
    }
}

/// The size of a data pointer in the target's data layout.
fn word(row: &Row, printed: &str) -> u32 {
    let layout = printed
        .lines()
        .find_map(|line| line.strip_prefix("target datalayout = \"")?.strip_suffix('"'))
        .unwrap_or_else(|| panic!("{}: a data layout", row.1));
    let pointers = layout.split('-').find_map(|part| part.strip_prefix("p:").or(part.strip_prefix("p0:")));
    let bits = pointers.map_or("64", |pointers| pointers.split(':').next().expect("a size"));
    bits.parse::<u32>().expect("a number") / 8
}

#[test]
fn every_target() {
    for_each(TARGETS, |row| {
        let features: Vec<&str> = FEATURES.iter().map(|feature| feature.0).collect();
        let lowered = opt(row, &module(row, &features, INTRINSIC), true)?;
        if row.2.has_sites() {
            check_sites(row, &lowered)?;
        } else {
            check_loads(row, &features, &lowered)?;
        }

        // Refused features come first, because they explain other failures.
        let kinds: Vec<&str> = row.3.iter().copied().filter(|name| *name != OBJECT).collect();
        for name in &kinds {
            let plain = opt(row, &module(row, &[*name], PLAIN), false)?;
            if ["-O0", "-O2"].iter().all(|level| llc(&plain, level, "asm", false).is_ok()) {
                return Err(format!("code generation takes `{name}`: remove that from the table"));
            }
        }
        let accepted: Vec<&str> = features.into_iter().filter(|name| !kinds.contains(name)).collect();
        let lowered = opt(row, &module(row, &accepted, INTRINSIC), true)?;
        for level in ["-O0", "-O2"] {
            let generated = llc(&lowered, level, "asm", true);
            let assembly = generated.or_else(|failure| {
                Err(format!("{failure}\nwithout the pass it refuses {:?}", refused(row)?))
            })?;
            check_assembly(row, &String::from_utf8_lossy(&assembly), !accepted.is_empty())?;
            if row.3.contains(&OBJECT) {
                let plain = opt(row, &module(row, &accepted, PLAIN), false)?;
                if llc(&plain, level, "obj", false).is_ok() {
                    return Err("there are object files: remove that from the table".to_owned());
                }
            } else {
                let object = llc(&lowered, level, "obj", true)?;
                if row.2.has_sites() {
                    check_table(row, &object)?;
                }
            }
        }
        Ok(())
    });
}

/// Without the machine stage, calls are calls of trampolines. On POWER these would lose the TOC pointer.
#[test]
fn code_generation_without_the_pass() {
    let rows: Vec<Row> = TARGETS.iter().filter(|row| row.2.has_sites()).copied().collect();
    for_each(&rows, |row| {
        let lowered = opt(row, &module(row, &["call"], INTRINSIC), true)?;
        for level in ["-O0", "-O2"] {
            match llc(&lowered, level, "obj", false) {
                Ok(_) if row.0 == "ppc64le" => return Err("it takes the module".to_owned()),
                Err(message)
                    if row.0 == "ppc64le" && message.contains("static-call: code for this machine") => {}
                other => drop(other?),
            }
        }
        Ok(())
    });
}

/// Checks that the module equals the one that a person would have written.
fn check_loads(row: &Row, features: &[&str], lowered: &str) -> Result<(), String> {
    let word = word(row, lowered).to_string();
    let wanted = module(row, features, &load(row).replace("WORD", &word).replace("%f", "%target"));
    let wanted = opt(row, &wanted.replace("%f", "%target"), false)?;
    if lowered == wanted {
        return Ok(());
    }
    let differences = lowered.lines().zip(wanted.lines()).filter(|(line, wanted)| line != wanted);
    let text: Vec<String> =
        differences.take(3).map(|(line, wanted)| format!("{line}\n  should be {wanted}")).collect();
    Err(text.join("\n"))
}

/// Checks that all calls are direct, and that the trampolines exist.
fn check_sites(row: &Row, lowered: &str) -> Result<(), String> {
    let count = |part: &str| lowered.matches(part).count() as u64;
    let direct = lowered
        .lines()
        .filter(|line| {
            line.contains("@\"__static_call_trampoline.") || line.contains("@__static_call_trampoline.")
        })
        .filter(|line| line.contains("call ") || line.contains("invoke "))
        .filter(|line| line.starts_with(' '))
        .count() as u64;
    let found = (
        direct,
        count("define linkonce_odr hidden"),
        count("load atomic volatile"),
        count("@__static_call_target"),
    );
    // Four keys, the constructor and the destructor. The rest are uses as a value, or jumps on targets that
    // have none.
    let loads = 1 + u64::from(row.3.contains(&"musttail"));
    let wanted = (SITES + 1 - loads, 4 + 2, loads, 0);
    if found == wanted { Ok(()) } else { Err(format!("{found:?} instead of {wanted:?}:\n{lowered}")) }
}

fn check_assembly(row: &Row, assembly: &str, any: bool) -> Result<(), String> {
    let has = |part: &str| assembly.contains(part);
    if has("__static_call_target") {
        return Err("the intrinsic is left".to_owned());
    }
    if has("__static_call_trampoline") != row.2.has_sites() || has("static_call_sites") != row.2.has_sites() {
        return Err("trampolines or a site table where there should be none, or none".to_owned());
    }
    // Only if something still reads a key.
    if any && has("__atomic_load") != matches!(row.2, Library | SitesLibrary) {
        return Err("calls of libatomic that the table does not know, or none".to_owned());
    }
    Ok(())
}

/// Checks that the table has an entry for every call, and the anchor.
fn check_table(row: &Row, object: &[u8]) -> Result<(), String> {
    let file = object::File::parse(object).map_err(|error| error.to_string())?;
    let names = [SITES_SECTION, COFF_SECTIONS[3], COFF_ANCHOR_SECTIONS[3]];
    let tables = file.sections().filter(|section| section.name().is_ok_and(|name| names.contains(&name)));
    let bytes: u64 = tables.map(|section| section.size()).sum();
    // Targets whose default code model is medium have larger entries.
    let entry = if ["loongarch64", "ppc64le"].contains(&row.0) { 8 } else { 4 };
    let sites = SITES - u64::from(row.3.contains(&"musttail"));
    if bytes == entry * sites + 4 { Ok(()) } else { Err(format!("{bytes} bytes of site tables")) }
}

/// A key consists of four pointers and two numbers of four bytes.
#[test]
fn keys_of_every_pointer_size() {
    for (triple, word) in [
        ("avr-unknown-unknown", 2),
        ("msp430-none-elf", 2),
        ("m68k-unknown-linux-gnu", 4),
        ("powerpc-unknown-linux-gnu", 4),
        ("x86_64-unknown-linux-gnux32", 4),
        ("s390x-unknown-linux-gnu", 8),
        ("x86_64-unknown-linux-gnu", 8),
    ] {
        let row = TARGETS.iter().find(|row| row.1 == triple).expect("a row");
        let size = 4 * word + 8;
        let opt_at = |offset: u64, size: u64| {
            let read = INTRINSIC.replace("KEY", &format!("getelementptr (i8, ptr @bytes, i32 {offset})"));
            let code = if row.0 == "avr" { "addrspace(1) " } else { "" };
            let text = format!(
                "@bytes = global [{size} x i8] zeroinitializer, align 8
                 declare ptr AT @__static_call_target(ptr)
                 define ptr AT @f() {{
                   {read}
                   ret ptr AT %f
                 }}"
            );
            opt(row, &text.replace("AT ", code), true)
        };
        // The last offset with room for a key, and the first without.
        assert!(opt_at(word, word + size).is_ok_and(|lowered| lowered.contains("load ")), "{triple}");
        let refused = opt_at(word, word + size - 1).expect_err(triple);
        let message = format!("{size} bytes at offset {word} of an object of {}", word + size - 1);
        assert!(refused.contains(&message), "{triple}: {refused}");
        let refused = opt_at(1, 2 * size).expect_err(triple);
        assert!(refused.contains("not aligned like a pointer"), "{triple}: {refused}");
    }
}

/// A call through an acquire load in each object format: the load, the call, and the start of the object
/// file.
#[test]
fn object_formats() {
    const MACH_O: &[u8] = &[0xcf, 0xfa, 0xed, 0xfe];
    let formats: &[(&str, &str, &str, &[u8])] = &[
        ("x86_64-apple-macosx", "_key(%rip)", "callq\t*", MACH_O),
        ("arm64-apple-macosx", "\tldapr\tx|\tldar\tx", "\tblr\tx", MACH_O),
        ("i686-pc-windows-msvc", "_key", "calll\t*", &[0x4c, 0x01]),
        ("aarch64-pc-windows-msvc", "\tldar\tx", "\tblr\tx", &[0x64, 0xaa]),
        ("wasm32-unknown-unknown", "i32.load\tkey", "call_indirect\t", b"\0asm"),
    ];
    for (triple, load, call, magic) in formats {
        let row = TARGETS.iter().find(|row| row.1 == *triple).expect("a row");
        assert_eq!(row.2, Acquire);
        let lowered = opt(row, &module(row, &["call"], INTRINSIC), true).expect(triple);
        check_loads(row, &["call"], &lowered).expect(triple);
        for level in ["-O0", "-O2"] {
            let assembly = llc(&lowered, level, "asm", true).expect(triple);
            let assembly = String::from_utf8(assembly).expect("UTF-8");
            let position = |part: &str| part.split('|').filter_map(|part| assembly.find(part)).min();
            let (load, call) = (position(load), position(call));
            // One instruction may do both.
            assert!(
                load.is_some() && call.is_some_and(|call| load <= Some(call + 16)),
                "{triple} {level}: {assembly}"
            );
            assert!(!assembly.contains("static_call"), "{triple} {level}: {assembly}");
            let object = llc(&lowered, level, "obj", true).expect(triple);
            assert!(object.starts_with(magic), "{triple}: {:02x?}", &object[..8]);
            let ours = object.windows(11).any(|bytes| bytes == b"static_call");
            assert!(!ours, "{triple} {level}: names of ours in the object file");
        }
    }
}

const PROGRAM: &str = "
#include <static_call.h>
int function(int);
DEFINE_STATIC_CALL(key, function);
int call(int x) { return static_call(key, x) + 1; }
";

/// The header and the pass agree about a key's layout, whatever the size and alignment of the target's types.
#[test]
fn the_c_header_on_every_target() {
    for_each(TARGETS, |row| {
        let clang = |flags: &[&str]| {
            let mut clang = llvm("clang");
            clang.args([
                "-target",
                row.1,
                "-ffreestanding",
                "-nostdlibinc",
                "-x",
                "c",
                "-S",
                "-emit-llvm",
                "-o",
                "-",
                "-",
            ]);
            clang.arg("-I").arg(prefix().join("include")).args(flags);
            clang
        };
        // z/OS needs its own C headers in every mode, and clang cannot compile C for the others at all.
        if row.1 == "s390x-ibm-zos" || ["riscv32be", "riscv64be"].contains(&row.0) {
            return Ok(());
        }
        let plugin = format!("-fpass-plugin={}", plugin().display());
        for level in ["-O0", "-O2"] {
            let lowered = succeeded(pipe(&mut clang(&[&plugin, level]), PROGRAM.as_bytes()), "clang")?;
            let lowered = String::from_utf8_lossy(&lowered);
            if lowered.contains("@__static_call_target") {
                return Err(format!("the intrinsic is left:\n{lowered}"));
            }
            if lowered.contains("@__static_call_trampoline") != row.2.has_sites() {
                return Err(format!("trampolines:\n{lowered}"));
            }
            let key = lowered.lines().find(|line| line.starts_with("@key__static_call_key ="));
            let key = key.ok_or("the key is gone")?;
            // The upper half of the flags holds the version.
            if !key.contains(&format!("i32 0, i32 {} }}", static_call_abi::VERSION << 16)) {
                return Err(format!("the key's flags: {key}"));
            }
            let aligned = key.split_once("align ").ok_or("no alignment")?.1;
            let aligned: u32 = aligned.trim_end().parse().map_err(|_| key.to_owned())?;
            if aligned < word(row, &lowered) {
                return Err(format!("a key with less alignment than an atomic access needs: {key}"));
            }
        }
        Ok(())
    });
}
