//! The trampolines that `static_call.h` writes for compilers without the pass.

use std::path::{Path, PathBuf};
use std::process::Command;

use static_call_tests::binary::{Trampolines, is_registered};
use static_call_tests::c::{Report, in_mode, modes, source};
use static_call_tests::platform::platform;
use static_call_tests::{failure, llvm, plugin, prefix, run, stdout};

/// The installed compilers for this machine, by their names for C.
fn compilers() -> Vec<String> {
    // Other machines have the oldest and the newest: the header tells no others apart.
    let is_left_out = |version: &u32| platform().is_foreign() && (15..22).contains(version);
    let versions = (14..30).filter(|version| !is_left_out(version));
    let names = versions.map(|version| format!("clang-{version}")).chain(["gcc".into()]);
    let knows_machine = |name: &String| {
        let empty = ["-fsyntax-only", "-x", "c", "/dev/null"];
        compiler(name, &empty).output().is_ok_and(|output| output.status.success())
    };
    let found: Vec<String> = names.filter(knows_machine).collect();
    assert!(found.contains(&"clang-22".into()), "{found:?}");
    found
}

fn has_trampolines() -> bool {
    let has = platform().header_has_trampolines() && !platform().is_foreign();
    if !has {
        eprintln!("skipped: its flags and disassembly are those of x86-64");
    }
    has
}

/// A compiler with the header and warnings.
fn compiler(name: &str, flags: &[&str]) -> Command {
    let mut command = match name.starts_with("clang") {
        true => Command::new(name),
        false => platform().gnu_program(name),
    };
    command.args(name.starts_with("clang").then(|| platform().clang_flags()).into_iter().flatten());
    // Debian's gcc would write Thumb code.
    command.args(platform().name.starts_with("armv7").then_some("-marm"));
    command.args(["-Wall", "-Wextra", "-Werror", "-pthread", "-I"]).arg(prefix().join("include"));
    command.args(flags);
    command
}

/// A compiler with sources of `tests/c`.
fn compiler_of(name: &str, flags: &[&str], sources: &[&str]) -> Command {
    let mut command = compiler(name, flags);
    command.args(sources.iter().map(|name| source(name)));
    command
}

/// Builds `trampolines.c`.
fn build(name: &str, flags: &[&str], program: &Path) -> PathBuf {
    let mut command = compiler_of(name, flags, &["trampolines.c", "trampolines_other.c"]);
    command.arg("-o").arg(program);
    run(command.arg(prefix().join("lib/libstatic_call.a")));
    program.to_owned()
}

/// Runs a program in all modes, and returns its trampolines.
fn check(case: &str, program: &Path) -> Trampolines {
    for &mode in modes() {
        let report = Report::find(&run(&mut in_mode(program, mode)).stdout);
        let number = usize::from(mode != Some("generic"));
        assert_eq!((report.mode, report.sites, report.images), (number, 0, 1), "{case} {mode:?}");
    }
    Trampolines::read(program)
}

#[test]
fn every_call_is_a_direct_call_of_a_trampoline() {
    if !has_trampolines() {
        return;
    }
    // The flags and the number of trampolines: each file has its own, and they share one.
    const ALL: usize = 6;
    let cases: [(&[&str], usize); 11] = [
        (&["-O0"], ALL),
        (&["-O2"], ALL),
        (&["-O2", "-fno-pie", "-no-pie"], ALL),
        (&["-O3", "-std=c99", "-fno-plt", "-fvisibility=hidden"], ALL),
        (&["-Os", "-static"], ALL),
        (&["-O2", "-masm=intel"], ALL),
        (&["-O1", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"], ALL),
        (&["-O2", "-fcf-protection", "-g"], ALL),
        (&["-O2", "-flto"], ALL),
        (&["-O2", "-fPIC"], ALL),
        (&["-O2", "-mcmodel=large"], 0),
    ];
    let directory = tempfile::tempdir().expect("a temporary directory");
    for name in compilers() {
        for (flags, expected) in cases {
            let mut flags = flags.to_vec();
            // Only this compiler's linker reads its bitcode everywhere.
            match (&*name, flags.contains(&"-flto")) {
                ("clang-22", true) => flags.push("-fuse-ld=lld"),
                (clang, true) if clang != "gcc" => continue,
                _ => {}
            }
            let case = format!("{name} {flags:?}");
            let program = build(&name, &flags, &directory.path().join("program"));
            if expected == 0 {
                assert!(!is_registered(&program), "{case}");
                run(&mut in_mode(&program, None));
                continue;
            }
            let found = check(&case, &program);
            assert_eq!(found.count, expected, "{case}");
            assert!(found.branches >= 8, "{case}: {} calls", found.branches);
            assert_eq!(found.through_keys, [""; 0], "{case}");
        }
    }
}

/// Debian's gcc compiles for programs unless it is told otherwise. A link that optimizes may use such files
/// for a shared object or one large object, whose code it makes position-independent in another way.
#[test]
fn gcc_optimizes_files_for_programs_as_one_object() {
    if !has_trampolines() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let place = |name: &str| directory.path().join(name);
    let (whole, program, shared) = (place("whole.o"), place("program"), place("shared.so"));
    for level in ["-O0", "-O2"] {
        let sources = ["trampolines.c", "trampolines_other.c"];
        run(compiler_of("gcc", &[level, "-flto", "-c"], &sources).current_dir(&directory));
        let link = |output: &[&str]| {
            let mut command = platform().gnu_program("gcc");
            command.args([level, "-flto", "-pthread"]).args(output);
            command.args([place("trampolines.o"), place("trampolines_other.o")]);
            command
        };
        run(link(&["-r", "-flinker-output=nolto-rel"]).arg("-o").arg(&whole));
        run(link(&["-shared"]).arg("-o").arg(&shared));
        let mut last = compiler("gcc", &["-o"]);
        run(last.arg(&program).arg(&whole).arg(prefix().join("lib/libstatic_call.a")));
        for found in [check(level, &program), Trampolines::read(&shared)] {
            assert!(found.count > 0 && found.branches >= 8, "{level}: {} calls", found.branches);
            assert_eq!(found.through_keys, [""; 0], "{level}");
        }
    }
}

/// The header takes it for too old.
#[test]
fn a_clang_that_is_too_old_for_trampolines_loads_the_keys() {
    const OLD: &str = "clang-13";
    if platform().is_foreign() || compiler(OLD, &["--version"]).output().is_err() {
        eprintln!("skipped: there is no {OLD}");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("program");
    for level in ["-O0", "-O2"] {
        let c = compiler_of(OLD, &[level], &["trampolines.c", "trampolines_other.c"]);
        let cpp = compiler_of(&cpp(OLD), &[level, "-std=c++17"], &["keys.cpp"]);
        for mut command in [c, cpp] {
            run(command.arg("-o").arg(&program).arg(prefix().join("lib/libstatic_call.a")));
            assert!(!is_registered(&program), "{level}");
            run(&mut in_mode(&program, None));
        }
    }
}

/// The same on other machines, in C and C++.
#[test]
fn calls_of_other_machines_reach_trampolines() {
    if !platform().header_has_trampolines() || !platform().is_foreign() {
        eprintln!("skipped: this is for other machines than x86-64 with trampolines by the header");
        return;
    }
    const FIXED: [&str; 2] = ["-fno-pie", "-no-pie"];
    let mut cases = vec![
        vec!["-O0"],
        vec!["-O1", "-fPIC", "-ffunction-sections", "-fdata-sections"],
        vec!["-O2"],
        vec!["-O3", FIXED[0], FIXED[1]],
    ];
    let machine = platform().name.split('-').next().expect("a name");
    match machine {
        "aarch64" => cases.push(vec!["-O2", "-mbranch-protection=standard"]),
        "i686" => cases.push(vec!["-O0", FIXED[0], FIXED[1], "-DSTATIC_CALL_RETPOLINES"]),
        "riscv64gc" => cases.push(vec!["-O2", "-mno-relax", "-mcmodel=medany"]),
        _ => {}
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("program");
    for name in compilers() {
        for flags in &cases {
            let case = format!("{name} {flags:?}");
            // In C and in C++.
            let is_fixed = flags.contains(&FIXED[0]);
            let [has_all, has_cpp] = match machine {
                "i686" => [is_fixed; 2],
                "armv7" => [is_fixed || name != "gcc"; 2],
                _ => [true; 2],
            };
            // Without optimization, clang calls everything but functions through a register there.
            let is_direct = machine != "armv7" || name == "gcc" || !flags.contains(&"-O0");
            let program = build(&name, flags, &program);
            if has_all {
                let found = check(&case, &program);
                assert_eq!(found.count, 6, "{case}");
                assert!(!is_direct || found.branches >= 8, "{case}: {found:?}");
                assert!(!is_direct || found.by_pointer.is_empty(), "{case}: {found:?}");
            } else if machine == "armv7" {
                assert_eq!(check(&case, &program).count, 1, "{case}: the declared key");
            } else {
                assert!(!is_registered(&program), "{case}");
                run(&mut in_mode(&program, None));
            }
            for file in cpp_files(&name) {
                let mut command = compiler(&cpp(&name), flags);
                command.args(["-std=c++17"]).arg(source(file)).arg("-o").arg(&program);
                run(command.arg(prefix().join("lib/libstatic_call.a")));
                let case = format!("{case} {file}");
                if has_cpp {
                    let found = check(&case, &program);
                    assert!(found.count >= 2, "{case}: {found:?}");
                    assert!(!is_direct || found.branches >= 3, "{case}: {found:?}");
                    assert!(!is_direct || found.by_pointer.is_empty(), "{case}: {found:?}");
                } else {
                    assert!(!is_registered(&program), "{case}");
                    run(&mut in_mode(&program, None));
                }
            }
        }
    }
    if machine == "aarch64" {
        let program = build("gcc", &["-O2", "-mcmodel=large", "-fno-pie", "-no-pie"], &program);
        assert!(!is_registered(&program), "a direct call does not reach all code");
    }
}

/// The compiler for C++ that belongs to one for C.
fn cpp(name: &str) -> String {
    name.replace("clang", "clang++").replace("gcc", "g++")
}

/// Sources with keys in classes, and calls that throw. Old versions of clang lose results of functions that
/// preserve most registers.
fn cpp_files(name: &str) -> &'static [&'static str] {
    match name {
        "clang-14" | "clang-15" | "clang-16" => &["keys.cpp", "exceptions.cpp"],
        _ => &["keys.cpp", "exceptions.cpp", "scopes.cpp"],
    }
}

/// In C++, the compiler names keys and trampolines. Before C++17, calls load their keys.
#[test]
fn keys_of_cpp_in_every_scope() {
    if !has_trampolines() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("program");
    for name in compilers() {
        for (flags, has_trampolines) in [
            (&["-std=c++17", "-O0"][..], true),
            (&["-std=c++20", "-O2", "-Wpedantic"], true),
            (&["-std=c++20", "-O3", "-fPIC"], true),
            (&["-std=c++17", "-O2", "-flto"], true),
            (&["-std=c++17", "-O2", "-masm=intel", "-fno-pie", "-no-pie"], true),
            (&["-std=c++14", "-O2"], false),
        ] {
            if flags.contains(&"-flto") && name != "gcc" {
                continue;
            }
            // It has keys in classes.
            let files = cpp_files(&name).iter().filter(|&&file| has_trampolines || file != "scopes.cpp");
            for file in files {
                let case = format!("{name} {flags:?} {file}");
                let mut command = compiler(&cpp(&name), flags);
                command.arg(source(file)).arg("-o").arg(&program);
                run(command.arg(prefix().join("lib/libstatic_call.a")));
                if has_trampolines {
                    let found = check(&case, &program);
                    assert!(found.count >= 2 && found.branches >= 3, "{case}: {found:?}");
                    assert_eq!(found.by_pointer, [""; 0], "{case}");
                } else {
                    assert!(!is_registered(&program), "{case}");
                    run(&mut in_mode(&program, None));
                }
            }
        }
    }
}

/// If a program's flags forbid indirect jumps, its trampolines contain none.
#[test]
fn retpolines_in_trampolines() {
    if !has_trampolines() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, flag) in [("gcc", "-mindirect-branch=thunk"), ("clang-22", "-mretpoline")] {
        for place in ["-fPIE", "-fno-pie"] {
            let pie = if place == "-fPIE" { "-pie" } else { "-no-pie" };
            let flags = ["-O2", flag, "-DSTATIC_CALL_RETPOLINES", place, pie];
            let program = build(name, &flags, &directory.path().join("program"));
            check(name, &program);
            let code = stdout(
                Command::new("objdump")
                    .args(["-d", "--no-show-raw-insn", "--disassembler-options=att"])
                    .arg(&program),
            );
            let functions = code.split("\n\n").filter(|text| text.contains("<__static_call_trampoline."));
            let ours: Vec<&str> = functions.filter(|text| text.contains(">:")).collect();
            let jumps = |text: &&&str| {
                let (name, _) = text.split_once(">:").unwrap_or_default();
                name.contains("<__static_call_trampoline.") && text.contains("jmp    *")
            };
            assert!(ours.len() > 4 && code.contains("lfence"), "{name} {place}");
            assert_eq!(ours.iter().filter(jumps).collect::<Vec<_>>(), [&""; 0], "{name} {place}");
        }
    }
}

/// The pass removes the header's trampolines. Its own may share keys with those of other files.
#[test]
fn files_with_the_pass_and_without_share_keys() {
    if !has_trampolines() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let pass = format!("-fpass-plugin={}", plugin().display());
    for other in ["gcc", "clang-22"] {
        for (first, second) in [(("clang-22", true), (other, false)), ((other, false), ("clang-22", true))] {
            for (name, (compiler_name, has_pass)) in [("trampolines", first), ("trampolines_other", second)] {
                let mut command = compiler(compiler_name, &["-O2", "-c"]);
                command.args(has_pass.then_some(&pass)).arg(source(&format!("{name}.c")));
                run(command.arg("-o").arg(at(name).with_extension("o")));
            }
            let mut link = compiler("gcc", &[]);
            link.args(["trampolines.o", "trampolines_other.o"].map(at)).arg("-o").arg(at("program"));
            run(link.arg(prefix().join("lib/libstatic_call.a")));
            for &mode in modes() {
                let report = Report::find(&run(&mut in_mode(&at("program"), mode)).stdout);
                let case = format!("{first:?} {second:?} {mode:?}: {report:?}");
                assert!(report.sites >= 2, "{case}");
                let is_inline = matches!(mode, None | Some("inline"));
                assert_eq!(report.direct, if is_inline { report.sites } else { 0 }, "{case}");
            }
        }
    }
}

/// Whoever loads the pass may spare the compiler the header's trampolines.
#[test]
fn a_header_that_knows_of_the_pass_gives_the_same_object() {
    if !has_trampolines() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let pass = format!("-fpass-plugin={}", plugin().display());
    let knows = "-DSTATIC_CALL_WITH_PASS";
    let file = source("trampolines.c");
    for level in ["-O0", "-O2"] {
        let object = |definition: Option<&str>| {
            let path = directory.path().join("object.o");
            let mut clang = compiler("clang-22", &[level, "-c"]);
            run(clang.arg(&pass).args(definition).arg(&file).arg("-o").arg(&path));
            std::fs::read(path).expect("an object")
        };
        assert!(object(None) == object(Some(knows)), "{level}");
    }
    let text = |flags: &[&str]| stdout(compiler("clang-22", flags).arg(&file));
    assert!(text(&["-E"]).contains(".Lstatic_call_is_new"), "what marks a trampoline's text");
    assert!(!text(&["-E", knows]).contains(".Lstatic_call_is_new"), "it leaves out the text");
}

/// A key local to a function has no name in assembler, and one in a table has none at all. So their calls
/// load the key, and the inspector says so.
#[test]
fn the_inspector_tells_pointers_from_trampolines() {
    if !has_trampolines() {
        return;
    }
    const PROGRAM: &str = "#include <static_call.h>\n\
        static int one(int x) { return x + 1; }\n\
        static DEFINE_STATIC_CALL(in_file, one);\n\
        static struct static_call_key table[] = { STATIC_CALL_INIT(one), STATIC_CALL_INIT(one) };\n\
        __attribute__((noinline)) static int indexed(int i)\n\
        { return static_call_at(one, &table[i & 1], i); }\n\
        int main(int argc, char **argv)\n\
        {\n\
        static DEFINE_STATIC_CALL(in_function, one);\n\
        (void)argv;\n\
        return static_call(in_file, argc) + static_call(in_function, argc) + indexed(argc) - 6;\n\
        }\n";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [file, program] = ["program.c", "program"].map(|name| directory.path().join(name));
    std::fs::write(&file, PROGRAM).expect("a file");
    for name in ["gcc", "clang-22"] {
        let mut command = compiler(name, &["-O1", "-g"]);
        command.arg(&file).arg("-o").arg(&program).arg(prefix().join("lib/libstatic_call.a"));
        run(&mut command);
        run(&mut in_mode(&program, None));
        let mut inspector = Command::new(prefix().join("bin/static-call-inspect"));
        let said =
            String::from_utf8_lossy(&inspector.arg(&program).output().expect("it runs").stdout).into_owned();
        let part = |title: &str| {
            let (_, rest) = said.split_once(title).unwrap_or_else(|| panic!("{name}: {title}\n{said}"));
            rest.split("\n\n").next().unwrap_or_default().to_owned()
        };
        let through_trampoline = part("branches to trampolines, which cannot become direct (1):");
        let words = ["  trampoline  ", " in_file ", if name == "gcc" { " GNU C" } else { " clang version " }];
        assert!(words.iter().all(|word| through_trampoline.contains(word)), "{name}: {said}");
        assert_eq!(said.contains("--cflags static-call-gcc`"), name == "gcc", "{said}");
        let by_pointer = part("compiled without the pass (2):");
        let calls: Vec<&str> = by_pointer.lines().filter(|line| line.contains("  pointer  ")).collect();
        assert_eq!(calls.len(), 2, "{name}: {said}");
        assert!(
            [" in_function ", " indexed "].iter().all(|word| by_pointer.contains(word)),
            "{name}: {said}"
        );
    }
}

/// Static keys of the same name in files of the same name, in one program with link-time optimization.
#[test]
fn trampolines_that_cannot_be_told_apart_are_an_error() {
    if !has_trampolines() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut objects = Vec::new();
    for (number, name) in ["trampolines.c", "trampolines_other.c"].into_iter().enumerate() {
        let place = directory.path().join(number.to_string());
        std::fs::create_dir(&place).expect("a directory");
        let text = format!("#include \"{}\"\n", source(name).display());
        std::fs::write(place.join("same.c"), text).expect("a file");
        run(compiler("gcc", &["-O2", "-flto", "-c", "same.c"]).current_dir(&place));
        objects.push(place.join("same.o"));
    }
    let mut link = compiler("gcc", &["-O2", "-flto"]);
    link.args(objects).arg("-o").arg(directory.path().join("program"));
    let message = failure(link.arg(prefix().join("lib/libstatic_call.a")));
    assert!(message.contains("static-call: two static keys"), "{message}");
}

/// By the compiler in one file, and by the linker in two: both name the key.
#[test]
fn two_definitions_of_one_key_are_an_error() {
    const KEY: &str = "#include <static_call.h>\nint one(int x);\nDEFINE_STATIC_CALL(twice, one);\n";
    const CALL: &str = "int NAME(int x);\nint NAME(int x) { return static_call(twice, x); }\n";
    const TARGET: &str = "int one(int x) { return x + 1; }\n";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(at(name), text).expect("a file");
    write("both.c", &format!("{KEY}DEFINE_STATIC_CALL(twice, one);\n{CALL}"));
    let main = "int main(void) { return 0; }\n";
    write("main.c", &format!("{KEY}{TARGET}{}{main}", CALL.replace("NAME", "first")));
    write("other.c", &format!("{KEY}{}", CALL.replace("NAME", "other")));
    let recorder = format!("-B{}", prefix().join("lib/static-call/as").display());
    for (name, flags) in [("gcc", &[][..]), ("gcc", &[&*recorder]), ("clang-22", &[])] {
        let message = failure(compiler(name, flags).args(["-c", "-o", "/dev/null"]).arg(at("both.c")));
        let message = message.replace(['\u{2018}', '\u{2019}'], "'");
        assert!(message.contains("redefinition of 'twice__static_call_key'"), "{name}: {message}");
        for level in ["-O0", "-O2"] {
            let mut link = compiler(name, flags);
            link.arg(level).args(["main.c", "other.c"].map(at)).arg("-o").arg(at("program"));
            let message = failure(link.arg(prefix().join("lib/libstatic_call.a")));
            assert!(message.contains("multiple definition of `twice__static_call_key'"), "{name}: {message}");
        }
    }
}

/// With one macro and no library.
#[test]
fn the_header_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("program");
    for name in compilers() {
        for (file, standards) in
            [("interface.c", ["-std=c99", "-std=c2x"]), ("interface.cpp", ["-std=c++11", "-std=c++20"])]
        {
            for standard in standards {
                let cpp = name.replace("clang", "clang++").replace("gcc", "g++");
                let name = if file.ends_with(".cpp") { &cpp } else { &name };
                let mut command = compiler(name, &["-O1", "-Wpedantic", standard]);
                command.arg("-DSTATIC_CALL_WITHOUT_LIBRARY").arg(source(file)).arg("-o").arg(&program);
                run(&mut command);
                run(&mut platform().execute(&program));
            }
        }
    }
    // Without an operating system.
    for target in ["x86_64-pc-windows-gnu", "thumbv7em-none-eabi", "riscv32-unknown-elf"] {
        let mut clang = llvm("clang");
        clang.args(["-Wall", "-Wextra", "-Werror", "-O1", "-ffreestanding", "-fsyntax-only"]);
        clang.arg(format!("--target={target}")).arg("-I").arg(prefix().join("include"));
        run(clang.arg("-DSTATIC_CALL_WITHOUT_LIBRARY").arg(source("interface.c")));
    }
}
