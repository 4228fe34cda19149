//! `static-call-as`: gcc's output has the sites that the pass would have recorded, and nothing else changes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use static_call_tests::binary::StaticCalls;
use static_call_tests::c::{Build, Compiler, Report, source};
use static_call_tests::platform::platform;
use static_call_tests::{execute, failure, plain_clang, prefix, run, stdout};
use tempfile::TempDir;

const PASS: Build = Build { compiler: Compiler::Pass, level: "-O2" };

/// The number of calls in `gcc_inline_calls.c`.
const FUNCTIONS: [&str; 5] = ["conditional", "loop", "plain", "tail", "twice"];
const CALLS: usize = 6;

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// The flag that makes gcc run our assembler before the real one.
fn flag() -> String {
    format!("-B{}", prefix().join("lib/static-call/as").display())
}

/// gcc for the machine of the programs.
fn plain_gcc(name: &str) -> Command {
    let mut gcc = platform().gnu_program(name);
    // The pass records nothing in Thumb functions either.
    gcc.args(platform().name.starts_with("armv7").then_some("-marm"));
    gcc
}

/// The same with our assembler, which writes to this log.
fn gcc(name: &str, log: &Path) -> Command {
    let mut gcc = plain_gcc(name);
    gcc.arg(flag()).env("STATIC_CALL_AS_LOG", log);
    gcc
}

/// The lines of a log: those of marked calls, and those of the others.
fn read_log(log: &Path) -> [Vec<String>; 2] {
    let text = fs::read_to_string(log).unwrap_or_default();
    let (left, marked) =
        text.lines().map(str::to_owned).partition(|line| line.contains("is left to its trampoline"));
    [marked, left]
}

/// The key's object, compiled by clang with the pass.
fn keys(directory: &Path) -> PathBuf {
    let object = directory.join("keys.o");
    run(PASS.compiler(false).arg("-fPIC").arg("-c").arg(source("gcc_inline_keys.c")).arg("-o").arg(&object));
    object
}

/// Compiles the calls with `compiler` and links them. Checks that exactly these calls are recorded, and that
/// they are direct when the program runs.
fn check(case: &str, compiler: impl Fn() -> Command, flags: &[&str], keys: &Path, log: &Path) {
    let directory = keys.parent().expect("a directory");
    let (object, program) = (directory.join("calls.o"), directory.join("program"));
    let _ = fs::remove_file(log);
    run(compiler().args(flags).arg("-c").arg(source("gcc_inline_calls.c")).arg("-o").arg(&object));
    let mut link = compiler();
    // Options for the compiler but not the linker.
    link.args(flags.iter().filter(|flag| !flag.contains("verbose-asm")));
    // The calls come first, so they determine the order of our sections.
    link.arg(&object).arg(keys).arg(prefix().join("lib/libstatic_call.a")).arg("-pthread");
    run(link.arg("-o").arg(&program));
    let [marked, left] = read_log(log);
    assert_eq!((marked.len(), left.len()), (CALLS, 0), "{case}: {marked:#?} {left:#?}");
    let functions: BTreeSet<&str> = marked.iter().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(functions.into_iter().collect::<Vec<_>>(), FUNCTIONS, "{case}");
    assert!(marked.iter().all(|line| line.ends_with(" of step")), "{case}: {marked:#?}");
    let sections = stdout(Command::new("readelf").args(["-SW"]).arg(&program));
    let places =
        static_call_abi::SECTIONS.map(|name| sections.find(&format!(" {name} ")).expect("a section"));
    assert!(places.is_sorted(), "{case}: {sections}");
    // The key's file has one.
    let sites = StaticCalls::read(&program).checked();
    assert_eq!(sites, CALLS + 1, "{case}");
    let report = Report::find(&run(&mut execute(&program)).stdout);
    assert_eq!((report.sites, report.direct), (sites, sites), "{case}: {report:?}");
}

#[test]
fn every_call_is_recorded_and_direct() {
    let directory = temporary();
    let keys = keys(directory.path());
    let log = directory.path().join("log");
    let common: [&[&str]; 6] =
        [&["-O0"], &["-O2"], &["-O3", "-g"], &["-Os", "-fPIC"], &["-O2", "-pipe"], &["-O2", "-flto"]];
    let own: [&[&str]; 9] = [
        &["-O1"],
        &["-O2", "-ffunction-sections", "-Wl,--gc-sections"],
        &["-O2", "-fcf-protection"],
        &["-O2", "-mindirect-branch=thunk"],
        &["-O2", "-masm=intel"],
        &["-O2", "-masm=intel", "-fverbose-asm", "-g"],
        &["-O2", "-fverbose-asm", "-gdwarf-4"],
        &["-O2", "-flto", "-pipe"],
        &["-O2", "-fno-pie", "-no-pie", "-fno-plt"],
    ];
    let own = if platform().is_foreign() { &own[..2] } else { &own[..] };
    for flags in common.iter().chain(own) {
        check(&format!("{flags:?}"), || gcc("gcc", &log), flags, &keys, &log);
    }
}

/// In a loop, gcc keeps the address of anything but a function in a register and calls that.
#[test]
fn the_headers_calls_are_direct_in_loops() {
    if !platform().header_has_trampolines() {
        return;
    }
    const LOOPS: &str = "#include \"check.h\"
static int add_one(int x) { return x + 1; }
static int add_two(int x) { return x + 2; }
DEFINE_STATIC_CALL(global, add_one);
static DEFINE_STATIC_CALL(own, add_one);
static int sum(int count)
{
	int sum = 0;
	for (int i = 0; i < count; i++)
		sum += static_call(global, i) - static_call(own, i);
	return sum;
}
int main(int count, char **arguments)
{
	(void)arguments;
	CHECK(sum(count + 9) == 0);
	CHECK(static_call_update(global, add_two) == 0);
	CHECK(sum(count + 9) == count + 9);
	report();
	return 0;
}
";
    let directory = temporary();
    let log = directory.path().join("log");
    let own: &[&str] = match platform().name.split('-').next() {
        Some("x86_64") => &["-mindirect-branch=thunk"],
        // Position-independent code loads the keys.
        Some("i686" | "armv7") => &["-fno-pie", "-no-pie"],
        _ => &[],
    };
    for (name, standard, file) in [("gcc", "-std=gnu11", "loops.c"), ("g++", "-std=gnu++17", "loops.cpp")] {
        let text = directory.path().join(file);
        fs::write(&text, LOOPS).expect("a file");
        for level in ["-O0", "-O1", "-O2", "-O3", "-Os"] {
            let _ = fs::remove_file(&log);
            let program = directory.path().join("program");
            let mut gcc = gcc(name, &log);
            gcc.args([standard, level, "-Wall", "-Wextra", "-Werror"]).args(own);
            gcc.arg("-I").arg(prefix().join("include")).arg("-I").arg(source("."));
            run(gcc.arg(&text).arg("-o").arg(&program).arg(prefix().join("lib/libstatic_call.a")));
            let sites = StaticCalls::read(&program).checked();
            assert!(sites >= 2 && read_log(&log)[0].len() == sites, "{name} {level}");
            let report = Report::find(&run(&mut execute(&program)).stdout);
            assert_eq!((report.sites, report.direct), (sites, sites), "{name} {level}");
        }
    }
}

/// Any version of clang writes assembler for GNU as.
#[test]
fn clang_without_its_own_assembler_is_served_too() {
    // The assembler is too old for this clang's RISC-V extensions. On LoongArch, clang's calls are two
    // instructions, which stay unchanged.
    if ["riscv64", "loongarch64"].iter().any(|name| platform().name.starts_with(name)) {
        return;
    }
    let directory = temporary();
    let keys = keys(directory.path());
    let log = directory.path().join("log");
    let mut ways = vec![vec!["-O0", "-fPIE"], vec!["-O2", "-fPIE"]];
    if !platform().is_foreign() {
        ways.push(vec!["-O2", "-fPIE", "-masm=intel"]);
    }
    for flags in ways {
        let clang = || {
            let mut clang = plain_clang("clang");
            clang.args(["-fno-integrated-as", &flag()]).env("STATIC_CALL_AS_LOG", &log);
            clang.args(platform().name.starts_with("armv7").then_some("-marm"));
            clang
        };
        check(&format!("{flags:?}"), clang, &flags, &keys, &log);
    }
}

/// The flag does not change the object of a file without static calls.
#[test]
fn other_files_are_assembled_to_the_same_bytes() {
    const OTHER: &str = "#include <stdio.h>
int main(int count, char **arguments)
{
	for (int i = 0; i < count; i++)
		printf(\"%d: %s; \\\" # é\\n\", i, arguments[i]);
	__asm__ volatile(\"nop; nop\");
	return 0;
}
";
    let directory = temporary();
    let file = |name: &str| directory.path().join(name);
    fs::write(file("other.c"), OTHER).expect("a file");
    for flags in [&["-O0"][..], &["-O2", "-g"], &["-O2", "-pipe", "-g3"], &["-Os", "-ffunction-sections"]] {
        let log = file("log");
        let object = |mut gcc: Command| {
            run(gcc
                .args(flags)
                .arg("-c")
                .arg("other.c")
                .arg("-o")
                .arg("other.o")
                .current_dir(directory.path()));
            fs::read(file("other.o")).expect("an object")
        };
        assert!(object(gcc("gcc", &log)) == object(plain_gcc("gcc")), "{flags:?}");
        assert!(!log.exists());
    }
}

/// For a file without static calls, the assembler is executed before libc starts, and it is the one that this
/// program finds otherwise. (The parent ignores SIGPIPE. Rust's start-up would put it back for children.)
#[test]
fn other_files_do_not_wait_for_libc() {
    if platform().is_foreign() || !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return;
    }
    let directory = temporary();
    let file = |name: &str| directory.path().join(name);
    let log = file("log");
    for name in ["given/as", "with spaces/as", "told/as", "path/as", "preas"] {
        let text = format!(
            "#!/bin/sh\n(echo {}; grep SigIgn /proc/self/status) > '{}'\n",
            name.trim_end_matches("as"),
            log.display()
        );
        fs::create_dir_all(file(name).parent().expect("a directory")).expect("a directory");
        fs::write(file(name), text).expect("a file");
        fs::set_permissions(file(name), fs::Permissions::from_mode(0o755)).expect("rights");
    }
    fs::write(file("plain.s"), "f: call g\n".repeat(1000)).expect("a file");
    fs::write(file("calls.s"), format!("f: call {T}\n")).expect("a file");
    let assembler = prefix().join("lib/static-call/as/as");
    let path = format!("{}:{}", file("path").display(), std::env::var("PATH").expect("PATH"));
    // Who is executed, and whether SIGPIPE was still ignored.
    let run_with = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' PIPE; exec \"$0\" \"$@\""]).arg(&assembler).args(arguments);
        shell.env("PATH", &path).envs(variables.iter().copied()).current_dir(directory.path());
        run(shell.args(["-o", "out.o"]).stdin(std::process::Stdio::null()));
        let text = fs::read_to_string(&log).expect("an assembler has run");
        let (name, ignored) = text.split_once("\nSigIgn:").expect("two lines");
        let ignored = u64::from_str_radix(ignored.trim(), 16).expect("a number");
        (name.to_owned(), ignored & (1 << 12) != 0)
    };
    let at = |text: &str| text.replace('@', directory.path().to_str().expect("UTF-8"));
    let (nowhere, told) = (at("/nowhere:@/nothing"), at("/nowhere:@/told/"));
    let cases = [
        ("'-B' '@/given' '-O2'", &*told, "given/"),
        ("'-O2' '-B@/with spaces'", &*told, "with spaces/"),
        ("'-mtune=generic' '-B' '/nowhere' '-B' '@/given/'", &*nowhere, "given/"),
        ("'-B@/pre'", &*told, "told/"),
        ("'-B@/pre'", &*nowhere, "pre"),
        ("'-O2'", &*nowhere, "path/"),
        ("", "", "path/"),
    ];
    for (options, told, expected) in cases {
        let options = at(options);
        for compiler in ["gcc", "/usr/bin/g++-12"] {
            let run_with = |options: &str| {
                let options = ("COLLECT_GCC_OPTIONS", options);
                run_with(&[("COLLECT_GCC", compiler), options, ("COMPILER_PATH", told)], &["plain.s"])
            };
            assert_eq!(run_with(&options), (expected.to_owned(), true), "{options}");
            // A quote in an option is for the rest of the program.
            let quoted = format!(r"{options} '-DX='\''y'\'''");
            assert_eq!(run_with(&quoted), (expected.to_owned(), false), "{quoted}");
        }
    }
    // Nor is there room for each path.
    let long = at(&format!("'-B@/given{}'", "/".repeat(2000)));
    let variables = [("COLLECT_GCC", "gcc"), ("COLLECT_GCC_OPTIONS", &*long), ("COMPILER_PATH", &*told)];
    assert_eq!(run_with(&variables, &["plain.s"]), ("given/".to_owned(), false));
    let gcc = [("COLLECT_GCC", "gcc"), ("COLLECT_GCC_OPTIONS", "'-O2'")];
    let is_early = |variables: &[(&str, &str)], arguments: &[&str]| run_with(variables, arguments).1;
    assert!(is_early(&gcc, &["-I", "calls.s", "plain.s", "plain.s"]));
    for arguments in [&["calls.s"][..], &["plain.s", "calls.s"], &["missing.s"], &["@plain.s"], &["-"], &[]] {
        assert!(!is_early(&gcc, arguments), "{arguments:?}");
    }
    assert!(!is_early(&[], &["plain.s"]), "clang's machine is in the arguments");
    let named = file("told/as").display().to_string();
    assert!(!is_early(&[gcc[0], ("STATIC_CALL_AS", &named)], &["plain.s"]));
}

/// What a pipe has is for the assembler: once it has been opened and closed, it is gone.
#[test]
fn pipes_are_not_opened() {
    if platform().is_foreign() {
        return;
    }
    let fake = fake("#!/bin/sh\n");
    let pipe = fake.path().join("pipe.s");
    run(Command::new("mkfifo").arg(&pipe));
    let is_over = AtomicBool::new(false);
    // For the assembler that runs before libc starts, and for the one after it.
    for variable in [("COLLECT_GCC", "gcc".as_ref()), ("STATIC_CALL_AS", fake.path().join("as").as_os_str())]
    {
        is_over.store(false, Ordering::SeqCst);
        std::thread::scope(|scope| {
            // Waits for a reader.
            let writer = scope.spawn(|| {
                let file = fs::File::create(&pipe);
                let is_over = is_over.load(Ordering::SeqCst);
                // Keeps it open for more readers.
                file.map(|file| (file, is_over))
            });
            let mut assembler = Command::new(prefix().join("lib/static-call/as/as"));
            assembler
                .env(variable.0, variable.1)
                .env("PATH", format!("{}:/usr/bin:/bin", fake.path().display()));
            run(assembler.arg(&pipe));
            is_over.store(true, Ordering::SeqCst);
            let _reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).expect("a pipe");
            let (_, was_over) = writer.join().expect("no panic").expect("a pipe");
            assert!(was_over, "the pipe was opened: {variable:?}");
        });
    }
}

/// Assembles text with our assembler.
fn assemble(text: &str, arguments: &[&str], directory: &Path) -> Command {
    let file = directory.join("text.s");
    fs::write(&file, text).expect("a file");
    let mut assembler = Command::new(prefix().join("lib/static-call/as/as"));
    assembler.args(arguments).arg("-o").arg(directory.join("text.o")).arg(file);
    assembler.env("STATIC_CALL_AS_LOG", directory.join("log"));
    assembler
}

/// The number of entries in the object's site tables.
fn entries(directory: &Path) -> usize {
    // It truncates names, possibly within a character.
    let listing = run(Command::new("readelf").args(["-rW"]).arg(directory.join("text.o"))).stdout;
    let listing = String::from_utf8_lossy(&listing);
    let tables =
        listing.split("Relocation section ").filter(|part| part.starts_with("'.relastatic_call_sites'"));
    tables.map(|part| part.lines().filter(|line| line.contains("R_X86_64_PC32")).count()).sum()
}

const T: &str = "__static_call_trampoline.k";

/// The assembler reads each file by itself.
#[test]
fn last_lines_without_an_end_are_whole() {
    if platform().is_foreign() {
        return;
    }
    let directory = temporary();
    let first = directory.path().join("first.s");
    fs::write(&first, format!("f: call {T}")).expect("a file");
    run(assemble(&format!("g: call {T}\n"), &[], directory.path()).arg(&first));
    assert_eq!(entries(directory.path()), 2);
    run(assemble("g: nop # the end", &[], directory.path()).arg(&first));
    assert_eq!(entries(directory.path()), 1);
}

#[test]
fn assembler_written_by_hand_is_marked_where_it_can_be_patched() {
    if platform().is_foreign() {
        return;
    }
    let directory = temporary();
    let text = format!(
        "\t.text\nf:\tcall {T}; jmp {T}@PLT # both
\tjne \"{T}\"
\tcall \"__static_call_trampoline.é\"
\tcall *{T}@GOTPCREL(%rip)
\tlea {T}(%rip), %rax
\tcall *%rax
\t.macro m
\tcall {T}
\t.endm
\tm
\t.data
\t.quad {T}
\t.ascii \"call {T}\"
"
    );
    run(&mut assemble(&text, &[], directory.path()));
    assert_eq!(entries(directory.path()), 4);
    let [marked, left] = read_log(&directory.path().join("log"));
    assert_eq!(marked.len(), 4, "{marked:#?}");
    assert_eq!(left.len(), 2, "{left:#?}");
    assert!(left[0].contains("more than a plain branch") && left[1].contains("in a macro"), "{left:#?}");
    // Lines keep their numbers, also in messages.
    let message =
        failure(&mut assemble(&format!("call {T}\n\ncall {T}\nno_such x\n"), &[], directory.path()));
    assert!(message.contains(":4: Error: no such instruction"), "{message}");
}

/// If the assembler pads branches itself, or returns are hardened, calls stay on their trampolines.
#[test]
fn options_that_move_branches_are_respected() {
    if platform().is_foreign() {
        return;
    }
    let directory = temporary();
    let text = format!("f: call {T}; jmp {T}; jne {T}\n");
    for (arguments, expected) in [
        (&[][..], 3),
        (&["-mbranches-within-32B-boundaries"], 1),
        (&["-malign-branch=call+jmp"], 0),
        (&["-mlfence-before-ret=or"], 1),
    ] {
        run(&mut assemble(&text, arguments, directory.path()));
        assert_eq!(entries(directory.path()), expected, "{arguments:?}");
    }
}

/// An entry is in its function's group, in a section linked to the function's section, so the linker keeps or
/// drops an inline function's copy together with its entries.
#[test]
fn groups_are_kept_or_dropped_with_their_entries() {
    let directory = temporary();
    let log = directory.path().join("log");
    let file = |name: &str| directory.path().join(name);
    let header = "extern int step(int x) __asm__(\"__static_call_trampoline.step__static_call_key\")
	__attribute__((visibility(\"hidden\")));
template <typename T> __attribute__((noinline)) int both(T x) { return step(x) + sizeof(x); }
template <typename T> __attribute__((noinline)) int unused(T x) { return step(x) + 1; }
";
    let first = "extern \"C\" int plain(int x) { return both(x) - 3; }
extern \"C\" int tail(int x) { return both(x) - 4; }
int dropped(int x) { return unused(x); }
";
    let second = "extern \"C\" int conditional(int x, int c) { return c ? both(x) - 4 : -1; }
extern \"C\" int loop(int n) { int s = 0; for (int i = 0; i < n; i++) s += both(i) - 4; return s; }
extern \"C\" int twice(int x) { return both(both(x) - 4) - 4; }
";
    let mut link = plain_gcc("g++");
    for (name, text) in [("first", first), ("second", second)] {
        let source = file(name).with_extension("cpp");
        fs::write(&source, format!("{header}{text}")).expect("a file");
        let object = file(name).with_extension("o");
        let mut compiler = gcc("g++", &log);
        run(compiler.args(["-O1", "-ffunction-sections", "-c"]).arg(source).arg("-o").arg(&object));
        let sections = stdout(Command::new("readelf").args(["-SW"]).arg(&object));
        // Besides the empty ones, which set the order.
        let tables = sections.lines().filter(|line| line.contains(" static_call_sites "));
        let mut tables = tables.filter(|line| !line.contains(" WAR ")).peekable();
        assert!(tables.peek().is_some() && tables.all(|line| line.contains(" WALG ")), "{sections}");
        link.arg(object);
    }
    let program = file("program");
    link.arg(keys(directory.path())).arg(prefix().join("lib/libstatic_call.a"));
    run(link.args(["-Wl,--gc-sections,-z,start-stop-gc", "-pthread", "-o"]).arg(&program));
    assert_eq!(read_log(&log)[0].len(), 3, "two copies of one, and one of the other");
    // One copy of each function, except the unused one.
    assert_eq!(StaticCalls::read(&program).checked(), 2);
    let report = Report::find(&run(&mut execute(&program)).stdout);
    assert_eq!((report.sites, report.direct), (2, 2));
}

/// A function's line table is unchanged, except that a call's row starts at its prefix.
#[test]
fn line_tables_are_the_same() {
    if platform().is_foreign() {
        return;
    }
    let directory = temporary();
    let rows = |mut gcc: Command| {
        let object = directory.path().join("calls.o");
        run(gcc.args(["-O2", "-g", "-c"]).arg(source("gcc_inline_calls.c")).arg("-o").arg(&object));
        let table = stdout(Command::new("readelf").arg("--debug-dump=decodedline").arg(object));
        let numbers = table.lines().filter_map(|line| line.split_whitespace().nth(1)?.parse().ok());
        let mut numbers: Vec<u32> = numbers.collect();
        numbers.dedup();
        let starts = table.lines().filter_map(|line| line.split_whitespace().nth(2));
        let starts = starts.filter_map(|start| u64::from_str_radix(start.trim_start_matches("0x"), 16).ok());
        (numbers, starts.collect::<BTreeSet<u64>>())
    };
    let (plain, _) = rows(plain_gcc("gcc"));
    let (ours, starts) = rows(gcc("gcc", &directory.path().join("log")));
    assert!(plain.len() > 10);
    assert_eq!(ours, plain);
    let listing = stdout(Command::new("objdump").arg("-d").arg(directory.path().join("calls.o")));
    let calls = listing.lines().filter(|line| line.contains("\taddr32 "));
    let calls: BTreeSet<u64> =
        calls.filter_map(|line| u64::from_str_radix(line.split(':').next()?.trim(), 16).ok()).collect();
    assert_eq!(calls.len(), CALLS, "{listing}");
    // The second call of `twice` belongs to the first call's row.
    assert_eq!(calls.difference(&starts).count(), 1, "{calls:x?} {starts:x?}");
    let [marked, _] = read_log(&directory.path().join("log"));
    let has_lines = |line: &String| {
        let place = line.split(": ").next().and_then(|place| place.rsplit_once(':'));
        place.is_some_and(|(_, number)| number.parse::<u32>().is_ok())
    };
    assert!(marked.iter().all(has_lines), "{marked:#?}");
}

/// `-S` writes the compiler's own output. If that is assembled later, its calls are recorded too.
#[test]
fn text_may_be_kept_and_assembled_later() {
    let directory = temporary();
    let log = directory.path().join("log");
    let text = directory.path().join("calls.s");
    let object = directory.path().join("calls.o");
    run(gcc("gcc", &log).args(["-O2", "-S"]).arg(source("gcc_inline_calls.c")).arg("-o").arg(&text));
    let before = fs::read(&text).expect("a text");
    assert!(!log.exists());
    run(gcc("gcc", &log).arg("-c").arg(&text).arg("-o").arg(&object));
    assert_eq!(read_log(&log)[0].len(), CALLS);
    assert!(fs::read(&text).expect("a text") == before, "the user's file was changed");
}

/// ccache's keys contain the flag, and its path has the hash of our assembler.
#[test]
fn ccache_knows_our_assembler_by_its_name() {
    if platform().is_foreign() {
        return;
    }
    let directory = temporary();
    let keys = keys(directory.path());
    let log = directory.path().join("log");
    let installed = fs::read_dir(prefix().join("lib/static-call")).expect("a directory");
    let mut names = installed.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let name = names.find(|name| name.starts_with("as-")).expect("a link with the hash");
    let ccache = |arguments: &[&str]| {
        let mut ccache = Command::new("ccache");
        ccache.env("CCACHE_DIR", directory.path().join("ccache")).args(arguments);
        ccache
    };
    let compiler = |name: &str| {
        let mut gcc = ccache(&["gcc"]);
        gcc.arg(format!("-B{}", prefix().join("lib/static-call").join(name).display()));
        gcc.env("STATIC_CALL_AS_LOG", &log);
        gcc
    };
    check("ccache", || compiler(&name), &["-O2"], &keys, &log);
    let _ = fs::remove_file(&log);
    let object = directory.path().join("calls.o");
    let compile = |name: &str| {
        run(compiler(name).args(["-O2", "-c"]).arg(source("gcc_inline_calls.c")).arg("-o").arg(&object));
        read_log(&log)[0].len()
    };
    assert_eq!(compile(&name), 0, "from the cache");
    assert_eq!(compile("as"), CALLS, "not from the cache");
}

/// A directory with a script `as`, which is found before other assemblers.
fn fake(text: &str) -> TempDir {
    let directory = temporary();
    let path = directory.path().join("as");
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("rights");
    directory
}

#[test]
fn an_assembler_that_cannot_do_it_is_named() {
    if platform().is_foreign() {
        return;
    }
    let directory = temporary();
    let text = format!("f: call {T}\n");
    let said = |version: &str| {
        let script = format!(
            "#!/bin/sh\nif [ \"$1\" = --version ]; then cat <<'END'\n{version}\nEND\nexit; fi\n\
             exec /usr/bin/as \"$@\"\n"
        );
        let fake = fake(&script);
        let output =
            run(assemble(&text, &[], directory.path()).env("STATIC_CALL_AS", fake.path().join("as")));
        (String::from_utf8_lossy(&output.stderr).into_owned(), entries(directory.path()))
    };
    let target = "This assembler was configured for a target of `x86_64-linux-gnu'.";
    assert_eq!(said(&format!("GNU assembler version 2.38\n{target}")), (String::new(), 1));
    let (old, marked) = said(&format!("GNU assembler version 2.34\n{target}"));
    assert!(old.contains("version 2.34, and 2.35 is needed") && marked == 0, "{old}");
    let (other, marked) = said("Debian clang version 22.1.0");
    assert!(other.contains("is not GNU as") && marked == 0, "{other}");

    run(assemble(&text, &[], directory.path()).env_remove("PATH"));
    assert_eq!(entries(directory.path()), 1, "gcc finds its assembler without a PATH");
    let message = failure(assemble(&text, &[], directory.path()).env("PATH", "/nowhere"));
    assert!(message.contains("cannot find the assembler") && message.contains("STATIC_CALL_AS"), "{message}");
    let message = failure(assemble(&text, &[], directory.path()).env("STATIC_CALL_AS", "/nowhere/as"));
    assert!(message.contains("cannot run /nowhere/as"), "{message}");
    // The assembler's own message about a missing file.
    let mut missing = Command::new(prefix().join("lib/static-call/as/as"));
    let message = failure(missing.arg(directory.path().join("missing.s")).current_dir(directory.path()));
    assert!(message.contains("missing.s") && !message.contains("static-call-as"), "{message}");
}

/// A user's assembler in another `-B` is used as gcc would use it. Of two copies of ours, one does the work.
#[test]
fn another_directory_of_assemblers_is_used() {
    if platform().is_foreign() {
        return;
    }
    let directory = temporary();
    let log = directory.path().join("log");
    let marker = directory.path().join("marker");
    let fake = fake(&format!("#!/bin/sh\ntouch '{}'\nexec /usr/bin/as \"$@\"\n", marker.display()));
    let object = directory.path().join("calls.o");
    let copies = temporary();
    fs::copy(prefix().join("lib/static-call/as/as"), copies.path().join("as")).expect("a copy");
    for (other, is_marker) in [(fake.path(), true), (copies.path(), false)] {
        for flags in [[flag(), format!("-B{}", other.display())], [flag(), format!("-B{}/", other.display())]]
        {
            let _ = (fs::remove_file(&marker), fs::remove_file(&log));
            let mut gcc = plain_gcc("gcc");
            gcc.args(flags).env("STATIC_CALL_AS_LOG", &log);
            run(gcc.args(["-O2", "-c"]).arg(source("gcc_inline_calls.c")).arg("-o").arg(&object));
            assert_eq!(marker.exists(), is_marker);
            assert_eq!(read_log(&log)[0].len(), CALLS);
        }
    }
    // Nor do they run themselves and each other for ever.
    for copy in [prefix().join("lib/static-call/as/as"), copies.path().join("as")] {
        run(assemble(&format!("f: call {T}\n"), &[], directory.path()).env("STATIC_CALL_AS", copy));
        assert_eq!(entries(directory.path()), 1);
    }
}

/// Such as in a container without a writable `/tmp`. The text is longer than a pipe holds.
#[test]
fn no_place_for_a_temporary_file_is_needed() {
    if platform().is_foreign() {
        return;
    }
    let directory = temporary();
    let text = format!("{}f: call {T}\n", "\tnop\n".repeat(100_000));
    let assemble = |text: &str| {
        let mut assembler = assemble(text, &[], directory.path());
        assembler.env("TMPDIR", "/nowhere");
        assembler
    };
    run(&mut assemble(&text));
    assert_eq!(entries(directory.path()), 1);
    let message = failure(&mut assemble(&format!("{text}\tnonsense\n")));
    assert!(message.contains("nonsense") && !message.contains("static-call-as"), "{message}");
    let message = failure(assemble(&text).env("STATIC_CALL_AS", "/nowhere/as"));
    assert!(message.contains("cannot run /nowhere/as"), "{message}");
}
