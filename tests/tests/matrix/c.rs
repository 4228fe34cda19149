//! `tests/matrix/c`: C and C++, without cargo.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;
use static_call_tests::{plugin, prefix, root, run};

use crate::outcome::{Branch, Expected, Outcome, calls_in, has};

/// The compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compiler {
    /// clang 22 with the pass.
    Clang,
    /// The same for musl, in C only; Debian's musl-gcc links.
    Musl,
    /// gcc.
    Gcc,
    /// gcc with the assembler that records calls.
    GccInline,
}

impl Compiler {
    fn is_gcc(self) -> bool {
        matches!(self, Self::Gcc | Self::GccInline)
    }
}

/// One way to build.
#[derive(Clone, Copy, Debug)]
struct Cell {
    name: &'static str,
    compiler: Compiler,
    /// Flags for the compiler.
    flags: &'static [&'static str],
    /// Flags for the linker, besides `flags`.
    link: &'static [&'static str],
    /// Strings in the linked file that prove that the flags had an effect.
    traces: &'static [&'static str],
    /// Whether everything but `main` is in a shared object.
    shared: bool,
    expected: Expected,
}

/// The default cell.
const CLANG: Cell = Cell {
    name: "",
    compiler: Compiler::Clang,
    flags: &[],
    link: &[],
    traces: &[],
    shared: false,
    expected: Expected::Direct,
};

/// Without the pass, keys in tables are called through their pointers.
const IN_TABLES: Expected = Expected::Except(&[7]);
const LOADED_ONLY: &str = "is only loaded from memory";
const NOT_RECORDED: &str = "no call is recorded";
const LTO_WITHOUT_PASS: &str = "branches to trampolines are not recorded";
const WITHOUT_PASS: &str = "compiled without the pass";

const CELLS: &[Cell] = &[
    Cell { name: "O0_pie", flags: &["-O0", "-g", "-fPIE"], link: &["-pie"], ..CLANG },
    Cell { name: "O1_no_pie", flags: &["-O1", "-fno-pie"], link: &["-no-pie"], ..CLANG },
    Cell { name: "O2_shared_hidden", flags: &["-O2", "-fPIC", "-fvisibility=hidden"], shared: true, ..CLANG },
    Cell {
        name: "O2_shared_bfd",
        flags: &["-O2", "-fPIC"],
        link: &["-fuse-ld=bfd", "-Wl,-z,pack-relative-relocs"],
        traces: &[".relr.dyn"],
        shared: true,
        ..CLANG
    },
    Cell {
        name: "O3_sections_bfd",
        flags: &["-O3", "-g", "-ffunction-sections", "-fdata-sections"],
        link: &["-fuse-ld=bfd", "-Wl,--gc-sections", "-Wl,-z,start-stop-gc", "-Wl,-z,pack-relative-relocs"],
        traces: &[".relr.dyn"],
        ..CLANG
    },
    Cell {
        name: "Os_sections_lld",
        flags: &["-Os", "-ffunction-sections"],
        link: &[
            "-fuse-ld=lld",
            "-Wl,--gc-sections,--icf=all",
            "-Wl,-z,start-stop-gc",
            "-Wl,-z,pack-relative-relocs",
        ],
        traces: &["LLD 22", ".relr.dyn"],
        ..CLANG
    },
    Cell {
        name: "Oz_sections_mold",
        flags: &["-Oz", "-ffunction-sections"],
        link: &["-fuse-ld=mold", "-Wl,--gc-sections,--icf=all", "-Wl,-z,start-stop-gc"],
        traces: &["mold 1"],
        ..CLANG
    },
    // mold 1 omits what glibc requires of a program with packed relocations, so this one is a static PIE.
    Cell {
        name: "static_pie_mold",
        flags: &["-O2", "-fPIE"],
        link: &["-fuse-ld=mold", "-static-pie", "-Wl,--gc-sections,--pack-dyn-relocs=relr"],
        traces: &["mold 1", ".relr.dyn"],
        ..CLANG
    },
    Cell { name: "static", flags: &["-O2", "-fno-pie"], link: &["-static"], ..CLANG },
    Cell {
        name: "lto_thin",
        flags: &["-O2", "-flto=thin"],
        link: &["-fuse-ld=lld", "LOAD"],
        traces: &["LLD 22"],
        ..CLANG
    },
    Cell {
        name: "lto_full",
        flags: &["-O2", "-flto=full"],
        link: &["-fuse-ld=lld", "LOAD"],
        traces: &["LLD 22"],
        ..CLANG
    },
    Cell {
        name: "lto_full_O0_sections",
        flags: &["-O0", "-flto=full", "-ffunction-sections", "-fvisibility=hidden"],
        link: &["-fuse-ld=lld", "-Wl,--gc-sections", "LOAD"],
        traces: &["LLD 22"],
        ..CLANG
    },
    Cell {
        name: "lto_thin_without_the_pass_in_the_linker",
        flags: &["-O2", "-flto=thin"],
        link: &["-fuse-ld=lld"],
        expected: Expected::Trampolines(LTO_WITHOUT_PASS),
        ..CLANG
    },
    Cell {
        name: "lto_full_without_the_pass_in_the_linker",
        flags: &["-O2", "-flto=full"],
        link: &["-fuse-ld=lld"],
        expected: Expected::Trampolines(LTO_WITHOUT_PASS),
        ..CLANG
    },
    Cell { name: "retpoline", flags: &["-O2", "-mretpoline"], traces: &["__llvm_retpoline_"], ..CLANG },
    Cell { name: "cf_protection", flags: &["-O2", "-fcf-protection=full"], ..CLANG },
    Cell {
        name: "address_undefined",
        flags: &["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
        traces: &["__asan_init", "__ubsan_"],
        ..CLANG
    },
    Cell { name: "thread", flags: &["-O1", "-g", "-fsanitize=thread"], traces: &["__tsan_init"], ..CLANG },
    Cell { name: "kcfi", flags: &["-O2", "-fsanitize=kcfi"], traces: &["__cfi_"], ..CLANG },
    Cell {
        name: "large_code_model",
        flags: &["-O2", "-mcmodel=large"],
        expected: Expected::Generic(NOT_RECORDED),
        ..CLANG
    },
    Cell {
        name: "medium_code_model",
        flags: &["-O2", "-mcmodel=medium"],
        expected: Expected::Generic(NOT_RECORDED),
        ..CLANG
    },
    Cell {
        name: "ipra",
        flags: &["-O2", "-mllvm", "-enable-ipra"],
        expected: Expected::Generic(LOADED_ONLY),
        ..CLANG
    },
    Cell {
        name: "musl_static",
        compiler: Compiler::Musl,
        flags: &["-O2", "-fno-pie"],
        link: &["-static"],
        ..CLANG
    },
    Cell {
        name: "musl_static_pie",
        compiler: Compiler::Musl,
        flags: &["-O0", "-fPIE"],
        link: &["-static-pie"],
        ..CLANG
    },
    Cell { name: "gcc_inline", compiler: Compiler::GccInline, flags: &["-O2"], expected: IN_TABLES, ..CLANG },
    Cell {
        name: "gcc_inline_O0",
        compiler: Compiler::GccInline,
        flags: &["-O0", "-g", "-fPIE"],
        link: &["-pie"],
        expected: IN_TABLES,
        ..CLANG
    },
    Cell {
        name: "gcc_inline_O3",
        compiler: Compiler::GccInline,
        flags: &["-O3", "-fPIC"],
        expected: IN_TABLES,
        ..CLANG
    },
    Cell {
        name: "gcc_inline_lto",
        compiler: Compiler::GccInline,
        flags: &["-O2", "-flto", "-g"],
        expected: IN_TABLES,
        ..CLANG
    },
    Cell {
        name: "gcc_inline_small",
        compiler: Compiler::GccInline,
        flags: &["-Os", "-fno-pie", "-ffunction-sections", "-pipe", "-fcf-protection"],
        link: &["-no-pie", "-Wl,--gc-sections,-z,start-stop-gc"],
        expected: IN_TABLES,
        ..CLANG
    },
    Cell {
        name: "gcc_pointers",
        compiler: Compiler::Gcc,
        flags: &["-O2", "-DSTATIC_CALL_POINTERS"],
        expected: Expected::Generic(WITHOUT_PASS),
        ..CLANG
    },
    Cell {
        name: "gcc_pointers_O0",
        compiler: Compiler::Gcc,
        flags: &["-O0", "-g", "-DSTATIC_CALL_POINTERS"],
        expected: Expected::Generic(WITHOUT_PASS),
        ..CLANG
    },
];

/// gcc's flag for the assembler that records calls.
fn assembler() -> String {
    format!("-B{}", prefix().join("lib/static-call/as").display())
}

/// All cells for C and C++.
pub(crate) fn cells() -> Vec<Trial> {
    let trial = |&cell: &Cell| {
        Trial::test(format!("c::{}", cell.name), move || {
            cell.check();
            Ok(())
        })
    };
    CELLS.iter().map(trial).collect()
}

impl Cell {
    fn check(self) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let image = self.build(directory.path());
        let calls =
            calls_in(if self.has_cpp() { &["c"] } else { &["c/matrix.h", "c/first.c", "c/second.c"] });
        for text in self.traces {
            assert!(has(&image, text), "the linked file has no {text}");
        }
        let is_static = self.link.iter().any(|flag| flag.starts_with("-static"));
        assert_eq!(has(&image, ".interp"), !is_static && !self.shared, "whether it has a dynamic linker");
        let outcome = Outcome::of(&mut Command::new(directory.path().join("program")));
        outcome.check(self.expected, &calls, &[&image]);
        outcome.check_branches(self.branches(), false, &[&image]);
    }

    /// Those that are no loads, with these flags: in C, and in C++.
    fn branches(self) -> &'static [Branch] {
        let are_loads = |flag: &&str| {
            ["-fsanitize=kcfi", "-mcmodel=large", "-mcmodel=medium", "-DSTATIC_CALL_POINTERS"].contains(flag)
        };
        match (self.flags.iter().any(are_loads), self.has_cpp()) {
            (true, _) => &[],
            (false, true) => &[Branch::C, Branch::Cpp],
            (false, false) => &[Branch::C],
        }
    }

    fn has_cpp(self) -> bool {
        self.compiler != Compiler::Musl
    }

    /// Builds `program`. The calls lie in it, or in the shared object beside it.
    fn build(self, directory: &Path) -> PathBuf {
        let compile = |source: &str| {
            let object = directory.join(source).with_extension("o");
            let path = root().join("tests/matrix/c").join(source);
            run(self.compiler(source).arg("-c").arg(path).arg("-o").arg(&object));
            object
        };
        let library = prefix().join("lib/libstatic_call.a");
        let link = |output: &Path, inputs: &[PathBuf], flags: &[&str]| {
            let mut linker = self.linker();
            linker.args(inputs).args(flags).arg(&library).args(self.libraries());
            run(linker.arg("-o").arg(output));
        };
        let sources: &[&str] = &["first.c", "second.c", "check.c", "third.cpp"];
        let mut objects: Vec<PathBuf> = sources
            .iter()
            .filter(|name| self.has_cpp() || name.ends_with(".c"))
            .map(|name| compile(name))
            .collect();
        let main = compile("main.c");
        let program = directory.join("program");
        if self.shared {
            let image = directory.join("libmatrix.so");
            link(&image, &objects, &["-shared"]);
            link(&program, &[main, image.clone()], &["-Wl,-rpath,$ORIGIN"]);
            return image;
        }
        objects.push(main);
        link(&program, &objects, &[]);
        program
    }

    fn compiler(self, source: &str) -> Command {
        let is_cpp = source.ends_with(".cpp");
        let mut compiler = Command::new(match (self.compiler, is_cpp) {
            (Compiler::Gcc | Compiler::GccInline, false) => "gcc",
            (Compiler::Gcc | Compiler::GccInline, true) => "g++",
            (_, false) => "clang-22",
            (_, true) => "clang++-22",
        });
        if !self.compiler.is_gcc() {
            compiler.arg(format!("-fpass-plugin={}", plugin().display()));
        }
        if self.compiler == Compiler::GccInline {
            compiler.arg(assembler());
        }
        if self.compiler == Compiler::Musl {
            let headers = "/usr/include/x86_64-linux-musl";
            compiler.args([
                "--target=x86_64-linux-musl",
                "-nostdlibinc",
                "-isystem",
                headers,
                "-DWITHOUT_CPP",
            ]);
        }
        compiler.arg(if is_cpp { "-std=c++17" } else { "-std=gnu11" });
        compiler.args(["-Wall", "-Wextra", "-Werror", "-I"]).arg(prefix().join("include")).args(self.flags);
        compiler
    }

    fn linker(self) -> Command {
        let mut linker = Command::new(match self.compiler {
            Compiler::Clang => "clang++-22",
            Compiler::Musl if self.is_musl_static_pie() => "gcc",
            Compiler::Musl => "musl-gcc",
            Compiler::Gcc | Compiler::GccInline => "g++",
        });
        if self.is_musl_static_pie() {
            linker
                .args(["-nostdlib", "-L", MUSL])
                .args(["rcrt1.o", "crti.o"].map(|name| format!("{MUSL}/{name}")));
        } else if self.compiler != Compiler::Musl {
            // The compiler's flags also determine the libraries and the work at link time.
            linker.args(self.flags);
        }
        if self.compiler == Compiler::GccInline {
            linker.arg(assembler());
        }
        for flag in self.link {
            match *flag {
                "LOAD" => linker.arg(format!("-Wl,--load-pass-plugin={}", plugin().display())),
                flag => linker.arg(flag),
            };
        }
        linker
    }

    /// musl-gcc cannot link these.
    fn is_musl_static_pie(self) -> bool {
        self.compiler == Compiler::Musl && self.link.contains(&"-static-pie")
    }

    /// The last arguments of the link.
    fn libraries(self) -> Vec<String> {
        match self.is_musl_static_pie() {
            true => vec!["-lc".into(), "-lgcc".into(), format!("{MUSL}/crtn.o")],
            false => Vec::new(),
        }
    }
}

/// The directory of the C library in Debian's musl-dev.
const MUSL: &str = "/usr/lib/x86_64-linux-musl";
