//! The headers alone, with compilers that have none of GNU's extensions: cl.exe, which no test can run, tcc,
//! and clang and gcc that neither say who they are nor accept their extensions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use static_call_tests::c::source;
use static_call_tests::{failure, llvm, prefix, run};
use tempfile::TempDir;

/// What the system's headers make of gcc and clang is not what is tested, so they come first.
const SYSTEM_HEADERS: &str = "\
#include <errno.h>
#include <link.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
";
const UNKNOWN: &str = "#undef __GNUC__\n#undef __clang__\n";
const STRICT: [&str; 4] = ["-pedantic-errors", "-Wall", "-Wextra", "-Werror"];
/// As Visual Studio 2022 17.10.
const UNKNOWN_MSVC: &str = "#undef __GNUC__\n#undef __clang__\n#define _MSC_VER 1940\n";

/// A compiler and its flags, and what the files begin with.
#[derive(Clone, Copy, Debug)]
struct Way {
    compiler: &'static [&'static str],
    start: &'static str,
}

const C: [Way; 5] = [
    Way { compiler: &["clang-22", "-std=c11", "-Wgnu"], start: UNKNOWN },
    // Keys without atomic operations.
    Way { compiler: &["clang-22", "-std=c2x", "-Wgnu", "-D__STDC_NO_ATOMICS__"], start: UNKNOWN },
    Way { compiler: &["gcc", "-std=c17"], start: UNKNOWN },
    // In MSVC's C, each file has its own copy of an `__inline` function, and the linker keeps one.
    Way {
        compiler: &["clang-22", "-std=c11", "-Wgnu", "-fms-extensions", "-fgnu89-inline", "-Wl,-z,muldefs"],
        start: UNKNOWN_MSVC,
    },
    Way { compiler: &["tcc"], start: "" },
];
const CPP: [Way; 3] = [
    Way { compiler: &["clang++-22", "-std=c++17", "-Wgnu"], start: UNKNOWN },
    Way { compiler: &["g++", "-std=c++20"], start: UNKNOWN },
    Way { compiler: &["clang++-22", "-std=c++23", "-Wgnu", "-fms-extensions"], start: UNKNOWN_MSVC },
];

impl Way {
    fn is_tcc(self) -> bool {
        self.compiler[0] == "tcc"
    }

    fn is_cpp(self) -> bool {
        self.compiler[0].contains("++")
    }

    fn command(self) -> Command {
        let mut command = Command::new(self.compiler[0]);
        command.args(&self.compiler[1..]).arg("-DSTATIC_CALL_WITHOUT_LIBRARY");
        // This tcc knows no warnings of these names.
        command.args((!self.is_tcc()).then_some(STRICT).into_iter().flatten());
        command.arg("-I").arg(prefix().join("include")).arg("-I").arg(source("."));
        command
    }

    /// A file with this text behind the start.
    fn file(self, name: &str, text: &str, directory: &Path) -> PathBuf {
        let file = directory.join(name);
        // tcc cannot read all of the system's headers.
        let system = match self.is_tcc() {
            true => "#include <pthread.h>\n".to_owned(),
            false if self.is_cpp() => format!("#include <atomic>\n{SYSTEM_HEADERS}"),
            // g++ and clang++ define it by themselves.
            false => format!("#define _GNU_SOURCE\n{SYSTEM_HEADERS}#undef _GNU_SOURCE\n"),
        };
        fs::write(&file, format!("{system}{}{text}", self.start)).expect("a file");
        file
    }

    /// Compiles and links these sources of `tests/c`.
    fn link(self, sources: &[&str], directory: &Path) -> PathBuf {
        let mut command = self.command();
        for name in sources {
            let text = format!("#include \"{}\"\n", source(name).display());
            command.arg(self.file(name, &text, directory));
        }
        self.finish(command, directory)
    }

    fn finish(self, mut command: Command, directory: &Path) -> PathBuf {
        let program = directory.join("program");
        run(command.arg("-o").arg(&program).arg("-pthread"));
        program
    }
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// The whole interface, and several files that share keys.
#[test]
fn the_whole_interface() {
    let directory = temporary();
    for way in C {
        for sources in [&["interface.c"][..], &["branch_interface.c"], &["two_files.c", "two_files_other.c"]]
        {
            run(&mut Command::new(way.link(sources, directory.path())));
        }
    }
    for way in CPP {
        for name in ["interface.cpp", "branch_interface.cpp"] {
            run(&mut Command::new(way.link(&[name], directory.path())));
        }
    }
}

/// There need not be constructors, so the first call chooses.
#[test]
fn resolvers() {
    let directory = temporary();
    const TEXT: &str = "#include <static_call.h>
static int asked;
static int one(int a) { return a + 1; }
static int two(int a) { return a + 2; }
static int (*choose(void))(int) { asked++; return two; }
static int (*choose_none(void))(int) { return 0; }
static DEFINE_STATIC_CALL_DISPATCH(chosen, one, choose);
static DEFINE_STATIC_CALL_DISPATCH(asked_about, one, choose);
static DEFINE_STATIC_CALL_DISPATCH(updated, one, choose);
static DEFINE_STATIC_CALL_DISPATCH(not_chosen, one, choose_none);
int main(void)
{
	struct static_call_change changes[] = { STATIC_CALL_CHANGE(updated, one) };
	if (asked != 0 || static_call(chosen, 1) != 3 || static_call(chosen, 1) != 3 || asked != 1)
		return 1;
	if (static_call_query(asked_about) != two || static_call_query(not_chosen) != one)
		return 2;
	if (static_call_update_batch(changes, 1) || static_call(updated, 1) != 2)
		return 3;
	/* What it had chosen before. */
	if (static_call_update_batch(changes, 1) || static_call(updated, 1) != 3)
		return 4;
	return static_call(not_chosen, 1) != 2;
}
";
    for way in C.into_iter().chain(CPP) {
        let name = if way.is_cpp() { "resolvers.cpp" } else { "resolvers.c" };
        let file = way.file(name, TEXT, directory.path());
        let mut command = way.command();
        command.arg(file);
        run(&mut Command::new(way.finish(command, directory.path())));
    }
    for way in C.into_iter().filter(|way| way.start == UNKNOWN) {
        let mut command = way.command();
        // This program is full of them.
        command.args(["-Wno-gnu", "-Wno-pedantic", "-Wno-error"]);
        let sources = ["dispatch.c", "dispatch_other.c"].map(|name| {
            way.file(name, &format!("#include \"{}\"\n", source(name).display()), directory.path())
        });
        command.args(sources);
        run(&mut Command::new(way.finish(command, directory.path())));
    }
}

/// Where there are atomic operations, no update of another thread is lost.
#[test]
fn threads() {
    const TEXT: &str = "#include <static_branch.h>
static DEFINE_STATIC_KEY_FALSE(counted);
static void *count(void *unused)
{
	int i;
	for (i = 0; i < 100000; i++)
		if (static_branch_inc(&counted))
			return unused;
	return unused;
}
int main(void)
{
	pthread_t threads[4];
	int i;
	for (i = 0; i < 4; i++)
		if (pthread_create(&threads[i], 0, count, 0))
			return 1;
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], 0);
	return static_key_count(&counted) != 400000;
}
";
    let directory = temporary();
    let is_atomic = |way: &Way| !way.is_tcc() && !way.compiler.contains(&"-D__STDC_NO_ATOMICS__");
    for way in C.into_iter().chain(CPP).filter(is_atomic) {
        let name = if way.is_cpp() { "threads.cpp" } else { "threads.c" };
        let mut command = way.command();
        command.arg("-O2").arg(way.file(name, TEXT, directory.path()));
        run(&mut Command::new(way.finish(command, directory.path())));
    }
}

/// For Windows, as cl.exe and with its preprocessor, for which `__VA_ARGS__` is one argument.
#[test]
fn the_compiler_of_visual_studio() {
    let directory = temporary();
    let object = directory.path().join("object.obj");
    for target in ["x86_64", "aarch64", "i686"] {
        for (program, standard, names) in [
            ("clang", "c11", ["interface.c", "branch_interface.c"]),
            ("clang++", "c++17", ["interface.cpp", "branch_interface.cpp"]),
        ] {
            for preprocessor in ["-fms-compatibility", "-fno-ms-compatibility"] {
                let compile = |name: &str, more: &[&str]| {
                    let mut clang = llvm(program);
                    clang.args([&*format!("--target={target}-pc-windows-msvc"), "-ffreestanding", "-Wgnu"]);
                    clang.args([
                        preprocessor,
                        "-fms-compatibility-version=19.40",
                        "-U__GNUC__",
                        "-U__clang__",
                    ]);
                    clang.args(STRICT).arg(format!("-std={standard}")).arg("-c").arg(source(name));
                    clang.arg("-I").arg(prefix().join("include")).arg("-o").arg(&object).args(more);
                    clang
                };
                for name in names {
                    run(&mut compile(name, &["-DSTATIC_CALL_WITHOUT_LIBRARY"]));
                    let symbols = static_call_tests::stdout(llvm("llvm-nm").arg(&object));
                    assert!(
                        !symbols.contains(" U __static_call") && !symbols.contains("atomic"),
                        "{symbols}"
                    );
                }
                let message = failure(&mut compile(names[0], &[]));
                assert!(message.contains("define STATIC_CALL_WITHOUT_LIBRARY in all files"), "{message}");
                let old = match program {
                    "clang" => ["-fms-compatibility-version=19.38", "17.9 or later"],
                    _ => ["-std=c++14", "/std:c++17 or later"],
                };
                let message = failure(&mut compile(names[0], &["-DSTATIC_CALL_WITHOUT_LIBRARY", old[0]]));
                assert!(message.contains(old[1]), "{message}");
            }
        }
    }
}
