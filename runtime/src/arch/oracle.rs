//! LLVM's assembler, linker and disassembler, to check the backends against: for tests.
//!
//! One process takes all instructions of a test, since there are thousands.

extern crate std;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::string::String;
use std::vec::Vec;
use std::{format, fs, thread};

use super::{Action, Kind};

/// What a machine instruction is in memory, and how the disassembler prints it.
pub(crate) struct Case {
    pub(crate) bytes: Vec<u8>,
    pub(crate) text: String,
}

impl Case {
    pub(crate) fn new(bytes: &[u8], text: String) -> Self {
        Self { bytes: bytes.to_vec(), text }
    }
}

/// x86's conditional jumps, by the number of the condition.
pub(crate) const CONDITIONS: [&str; 16] =
    ["jo", "jno", "jb", "jae", "je", "jne", "jbe", "ja", "js", "jns", "jp", "jnp", "jl", "jge", "jle", "jg"];

/// Disassembles all cases at once, and compares line by line.
pub(crate) fn check(triple: &str, cases: &[Case]) {
    let mut input = String::new();
    for case in cases {
        for byte in &case.bytes {
            input.push_str(&format!("{byte:#04x} "));
        }
        input.push('\n');
    }
    let output = run("llvm-mc", &["--disassemble", "--triple", triple], Some(input));
    let lines: Vec<String> = output.lines().map(words).filter(|line| !line.starts_with('.')).collect();
    for (case, line) in cases.iter().zip(&lines) {
        assert_eq!(words(&case.text), *line, "{triple}: {:02x?}", case.bytes);
    }
    assert_eq!(cases.len(), lines.len(), "{triple}: not everything is one instruction");
}

/// Distances from `low` to `high` in steps of `step`: both ends, around zero, around every power of two,
/// and many in between.
pub(crate) fn distances(low: i64, high: i64, step: i64) -> Vec<i64> {
    let mut all = Vec::from([low, low + step, high - step, high]);
    for bit in 0..40 {
        for around in [-step, 0, step] {
            all.extend([(1i64 << bit) + around, -(1i64 << bit) + around]);
        }
    }
    let span = (high - low).cast_unsigned();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..4000 {
        // xorshift64: the same numbers in every run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        all.push(low + (state % (span + 1)).cast_signed());
    }
    all.retain_mut(|distance| {
        *distance -= distance.rem_euclid(step);
        (low..=high).contains(distance)
    });
    all
}

/// Where a trampoline's key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// In this shared object.
    Shared,
    /// In this program, which has a fixed address.
    Program,
}

/// The text of a trampoline for the key "near" or "far", which is eight bytes into that symbol.
pub(crate) fn with_key(text: &str, key: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join("\n").replace("{key}", key).replace("{offset}", "8")
}

/// Assembles and links a trampoline as the pass would write it, and returns its linked bytes, without the
/// eight of its prefix.
///
/// `key` is the name of its key: hidden in this image if it is "near", and of default visibility if it is
/// "far"; so in a program the linker may simplify the access to either.
pub(crate) fn link_trampoline(triple: &str, features: &str, code: &str, output: Output) -> Vec<u8> {
    let file = |extension: &str| -> PathBuf {
        let name = format!("static-call-{}-{:?}.{extension}", std::process::id(), thread::current().id());
        std::env::temp_dir().join(name)
    };
    let (object, image, bytes) = (file("o"), file("elf"), file("bin"));
    let path = |file: &PathBuf| file.to_str().expect("the temporary directory's name is UTF-8").into();
    let source = format!(
        "\t.section .trampoline,\"ax\",%progbits\n\t.p2align 3\n\t.long 1, 2\n\
         \t.globl _start\n\t.hidden _start\n_start:\n\t.cfi_startproc\n{code}\n\t.cfi_endproc\n\
         \t.data\n\t.p2align 4\n\t.hidden near\n\t.globl near, far\nnear:\n\t.quad 0, 0\nfar:\n\t.quad 0, 0\n"
    );
    let object_path: String = path(&object);
    let image_path: String = path(&image);
    let bytes_path: String = path(&bytes);
    let mattr = format!("--mattr={features}");
    run("llvm-mc", &["--filetype=obj", "--triple", triple, &mattr, "-o", &object_path], Some(source));
    let kind = match output {
        Output::Shared => "-shared",
        Output::Program => "-static",
    };
    run("ld.lld", &[kind, "--no-gc-sections", "-o", &image_path, &object_path], None);
    let section = "--only-section=.trampoline";
    run("llvm-objcopy", &["-O", "binary", section, &image_path, &bytes_path], None);
    let linked = fs::read(&bytes).expect("objcopy has written it");
    for file in [object, image, bytes] {
        // A file that is left behind does no harm.
        let _ = fs::remove_file(file);
    }
    linked[8..].to_vec()
}

/// How an architecture reads an instruction at an address.
type Decode = fn(usize, &[u8]) -> Option<(Kind, Action)>;

/// Assembles and links a static branch for a key with pointers of so many bits, and checks what the runtime
/// relies on: it is a jump to code that starts as checks do, and has a jump to the target and one back.
pub(crate) fn check_branch(
    (triple, features, bits): (&str, &str, u32),
    text: &str,
    decode: Decode,
    check: &[u8],
) {
    let text = with_key(text, "near").replace("{target}", "target");
    // The section starts eight bytes before.
    const TARGET: usize = 8;
    let word = if bits == 64 { ".quad" } else { ".long" };
    let code = format!(
        "{text}\n.p2align 4\ntarget:\n.pushsection static_call_records,\"aw\",%progbits\n.p2align 3\n\
         \".Lstatic_call_branch.near\": {word} near\n.popsection"
    );
    for output in [Output::Shared, Output::Program] {
        let linked = link_trampoline(triple, features, &code, output);
        let jump = |at: usize| match decode(at, &linked[at..]) {
            Some((Kind::Jump | Kind::ConditionalJump(_), Action::Branch(to))) => Some(to),
            _ => None,
        };
        // Behind a prefix, on x86.
        let (site, found) = (0..2).find_map(|at| Some((at, jump(at)?))).expect("a jump");
        assert!(linked[found..].starts_with(check), "{triple}, {output:?}: {linked:02x?}");
        if triple.starts_with("i686") {
            continue; // The backend knows no short jumps.
        }
        let jumps: Vec<usize> = (found..linked.len()).filter_map(jump).collect();
        let next = |to: &usize| (site + 4..TARGET).contains(to);
        assert!(jumps.contains(&TARGET), "{triple}, {output:?}: {jumps:?}, {linked:02x?}");
        assert!(jumps.iter().any(next), "{triple}, {output:?}: {jumps:?}, {linked:02x?}");
    }
}

/// The first word of a linked trampoline.
pub(crate) fn entry<const WORD: usize>(linked: &[u8]) -> [u8; WORD] {
    linked[..WORD].try_into().expect("a trampoline fills a word")
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn run(program: &str, arguments: &[&str], input: Option<String>) -> String {
    // Debian's packages add the version to the names.
    for name in [format!("{program}-22"), String::from(program)] {
        let mut command = Command::new(&name);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => panic!("{name}: {error}"),
        };
        let mut stdin = child.stdin.take().expect("a pipe");
        // On a thread of its own: both pipes fill.
        let writer = thread::spawn(move || {
            if let Some(input) = input {
                // The program says itself what it did not like.
                let _ = stdin.write_all(input.as_bytes());
            }
        });
        let output = child.wait_with_output().expect("the program has started");
        writer.join().expect("it does not panic");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !errors.contains("warning"), "{name}: {errors}");
        return String::from_utf8(output.stdout).expect("LLVM prints UTF-8");
    }
    panic!("{program}-22 is missing: these tests need the packages llvm-22 and lld-22");
}
