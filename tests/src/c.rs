//! The C and C++ programs of `tests/c`: built in every way, run in every mode.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary::{StaticCalls, is_registered};
use crate::commands::run;
use crate::compilers::{execute, plain_clang};
use crate::installation::{plugin, prefix};
use crate::paths::root;
use crate::platform::platform;

/// How a program is compiled and linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// clang with the pass, and the static library.
    Pass,
    /// clang with the pass, and the shared library.
    PassShared,
    /// This clang and clang++ of another LLVM with the pass, and the static library.
    OtherPass([&'static str; 2]),
    /// clang without the pass.
    Clang,
    /// gcc.
    Gcc,
}

/// One way to build a program.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// The compiler and the library.
    pub compiler: Compiler,
    /// The flag of the optimization level.
    pub level: &'static str,
}

/// Every way to build a program that the tests use.
const BUILDS: [Build; 9] = [
    Build { compiler: Compiler::Pass, level: "-O0" },
    Build { compiler: Compiler::Pass, level: "-O3" },
    Build { compiler: Compiler::PassShared, level: "-Os" },
    Build { compiler: Compiler::Clang, level: "-O0" },
    Build { compiler: Compiler::Gcc, level: "-O3" },
    // What these builds add is the same on all machines.
    Build { compiler: Compiler::Pass, level: "-Os" },
    Build { compiler: Compiler::PassShared, level: "-O0" },
    Build { compiler: Compiler::Clang, level: "-O3" },
    Build { compiler: Compiler::Gcc, level: "-O0" },
];

/// The ways to build a program for this platform. Other machines, whose emulators are slow, have fewer.
#[must_use]
pub fn builds() -> &'static [Build] {
    if platform().is_foreign() { &BUILDS[..5] } else { &BUILDS }
}

/// Ways to build a slow program that tests the runtime and does not depend on the compiler.
pub const SOME_BUILDS: [Build; 4] = [
    Build { compiler: Compiler::Pass, level: "-O0" },
    Build { compiler: Compiler::PassShared, level: "-O3" },
    Build { compiler: Compiler::Pass, level: "-O3" },
    Build { compiler: Compiler::Gcc, level: "-O3" },
];

/// [`SOME_BUILDS`] for this platform: on other machines, one with each library.
#[must_use]
pub fn some_builds() -> &'static [Build] {
    if platform().is_foreign() { &SOME_BUILDS[..2] } else { &SOME_BUILDS }
}

/// Values of `STATIC_CALL_MODE`. None leaves it unset, which means inline; slow emulators only run one of
/// both.
#[must_use]
pub fn modes() -> &'static [Option<&'static str>] {
    const MODES: [Option<&str>; 4] = [None, Some("trampoline"), Some("generic"), Some("inline")];
    if platform().is_foreign() { &MODES[..3] } else { &MODES }
}

/// Values of `STATIC_CALL_WRITER` that patch, with their numbers in `enum static_call_writer`.
#[must_use]
pub fn writers() -> &'static [(&'static str, usize)] {
    const WRITERS: [(&str, usize); 3] = [("window", 1), ("alias", 4), ("breakpoint", 2)];
    // Machines without breakpoints are emulated, and emulators do not see what is written through another
    // mapping of the code.
    if platform().has_breakpoints { &WRITERS } else { &WRITERS[..1] }
}

/// Every mode with every writer that it uses. One of the writers is paired with the default mode, inline.
pub fn modes_and_writers() -> impl Iterator<Item = (Option<&'static str>, (&'static str, usize))> {
    const RUNS: [(Option<&str>, usize); 6] = [
        (None, 0),
        (Some("trampoline"), 0),
        (Some("generic"), 0),
        (Some("inline"), 1),
        (Some("inline"), 2),
        (Some("trampoline"), 2),
    ];
    RUNS.into_iter().filter_map(|(mode, writer)| Some((mode, *writers().get(writer)?)))
}

/// A source file of `tests/c`.
#[must_use]
pub fn source(name: &str) -> PathBuf {
    root().join("tests/c").join(name)
}

impl Build {
    /// Whether the calls have sites.
    #[must_use]
    pub fn has_pass(self) -> bool {
        matches!(self.compiler, Compiler::Pass | Compiler::PassShared | Compiler::OtherPass(_))
    }

    /// Whether the header writes trampolines for this compiler, in C. It does not for position-independent
    /// code of i686, which is usual there, and for Thumb code, which Debian's gcc writes.
    #[must_use]
    pub fn has_trampolines(self) -> bool {
        let is_thumb = platform().name.starts_with("armv7-") && self.compiler == Compiler::Gcc;
        let has = platform().header_has_trampolines() && !platform().name.starts_with("i686-");
        !self.has_pass() && has && !is_thumb
    }

    /// Whether static branches of a program in C are patched: not in i686's position-independent code, which
    /// is usual there, and in Thumb code, which Debian's gcc writes.
    #[must_use]
    pub fn header_has_branches(self) -> bool {
        let is_thumb = platform().name.starts_with("armv7-") && self.compiler == Compiler::Gcc;
        platform().has_branches() && !is_thumb && !platform().name.starts_with("i686-")
    }

    /// The modes and writers that make a difference. If calls load their keys, there is one mode, whatever
    /// the variables say.
    pub fn runs(self) -> impl Iterator<Item = (Option<&'static str>, (&'static str, usize))> {
        let is_patched = self.has_pass() || self.has_trampolines();
        modes_and_writers().take(if is_patched { usize::MAX } else { 1 })
    }

    /// The compiler for C or C++, with the warnings that every test program has to be free of.
    #[must_use]
    pub fn compiler(self, is_cpp: bool) -> Command {
        let mut command = match (self.compiler, is_cpp) {
            (Compiler::Gcc, false) => platform().gnu_program("gcc"),
            (Compiler::Gcc, true) => platform().gnu_program("g++"),
            (Compiler::OtherPass(clangs), _) => {
                let mut clang = Command::new(clangs[usize::from(is_cpp)]);
                clang.args(platform().clang_flags());
                clang
            }
            (_, false) => plain_clang("clang"),
            (_, true) => plain_clang("clang++"),
        };
        if self.has_pass() {
            command.arg(format!("-fpass-plugin={}", plugin().display()));
            // Covers both kinds of sites: half of the programs get unrelaxed ones.
            if ["-O2", "-O3"].contains(&self.level) {
                command.args(platform().unrelaxed);
            }
        }
        command.arg(if is_cpp { "-std=c++17" } else { "-std=gnu11" });
        command.args(["-Wall", "-Wextra", "-Werror", self.level, "-pthread"]);
        // Without SSE, i686 has no calling convention for vectors; x86-64 always has SSE.
        command.args(platform().is_x86().then_some("-msse2"));
        command.arg("-I").arg(prefix().join("include"));
        command
    }

    /// Compiles and links sources of `tests/c` into `output`.
    #[must_use]
    pub fn link(self, sources: &[&str], flags: &[&str], output: &Path) -> PathBuf {
        let is_cpp = sources.iter().any(|source| source.ends_with(".cpp"));
        let mut command = self.compiler(is_cpp);
        command.args(sources.iter().map(|name| source(name))).arg("-o").arg(output);
        command.args(flags).args(self.link_arguments());
        run(&mut command);
        output.into()
    }

    /// Builds a shared object of `tests/c` without a runtime: it uses the program's runtime or the shared
    /// library.
    #[must_use]
    pub fn shared_object(self, name: &str, output: &Path) -> PathBuf {
        let mut command = self.compiler(false);
        command.args(["-fvisibility=hidden", "-fPIC", "-shared"]).arg(source(name)).arg("-o").arg(output);
        run(&mut command);
        output.into()
    }

    /// As [`Build::link`], and exports the program's keys and its runtime to shared objects.
    #[must_use]
    pub fn link_exporting(self, source: &str, libraries: &[&Path], output: &Path) -> PathBuf {
        let archive = prefix().join("lib/libstatic_call.a").display().to_string();
        let mut flags: Vec<&str> = libraries.iter().map(|path| path.to_str().expect("UTF-8")).collect();
        flags.extend(["-fvisibility=hidden", "-rdynamic", "-ldl"]);
        if self.compiler != Compiler::PassShared {
            flags.extend(["-Wl,--whole-archive", &archive, "-Wl,--no-whole-archive"]);
        }
        self.link(&[source], &flags, output)
    }

    /// The arguments that link the library.
    fn link_arguments(self) -> Vec<String> {
        let directory = prefix().join("lib");
        if platform().is_windows() {
            let library = match self.compiler {
                Compiler::PassShared => "libstatic_call.dll.a",
                _ => "libstatic_call.a",
            };
            // The compiler's own libraries, whose DLLs Wine would not find.
            return vec![directory.join(library).display().to_string(), "-static".into()];
        }
        if self.compiler == Compiler::PassShared {
            let directory = directory.display();
            return vec![format!("-L{directory}"), "-lstatic_call".into(), format!("-Wl,-rpath,{directory}")];
        }
        vec![directory.join("libstatic_call.a").display().to_string()]
    }
}

/// A program's report about itself (`report` in `check.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// `enum static_call_mode`.
    pub mode: usize,
    /// Recorded sites.
    pub sites: usize,
    /// Sites that are direct.
    pub direct: usize,
    /// Registered images.
    pub images: usize,
    /// `enum static_call_writer`.
    pub writer: usize,
}

impl Report {
    /// Finds the report in a program's output.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn find(stdout: &[u8]) -> Self {
        let stdout = String::from_utf8_lossy(stdout);
        let line = stdout.lines().find(|line| line.starts_with("mode ")).expect("a report");
        let mut numbers = line.split(", ").map(|field| {
            field.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a name and a number")
        });
        let mut next = || numbers.next().expect("five fields");
        Self { mode: next(), sites: next(), direct: next(), images: next(), writer: next() }
    }
}

/// The program's command in one of the [`modes`].
#[must_use]
pub fn in_mode(program: &Path, mode: Option<&str>) -> Command {
    let mut command = execute(program);
    for variable in [
        "STATIC_CALL_ENABLE",
        "STATIC_CALL_DISPATCH",
        "STATIC_CALL_MODE",
        "STATIC_CALL_WRITER",
        "STATIC_CALL_LOG",
    ] {
        command.env_remove(variable);
    }
    if let Some(mode) = mode {
        command.env("STATIC_CALL_MODE", mode);
    }
    command
}

/// Runs a program in every mode with every writer. It must report the sites in `images`. In mode inline all
/// of them are direct, except for `far` sites, whose targets are out of reach; in the other modes none are.
///
/// # Panics
///
/// If that is not so, or if the program fails.
pub fn check(build: Build, program: &Path, images: &[&Path], far: &RangeInclusive<usize>) {
    let calls = images.iter().map(|image| StaticCalls::read(image));
    let sites = if build.has_pass() {
        let sites = calls.map(|calls| calls.checked()).sum();
        assert!(sites > 0, "{build:?}: no sites");
        sites
    } else {
        calls.for_each(|calls| assert!(calls.recorded.is_empty(), "{build:?}: {calls:?}"));
        0
    };
    let registered = images.iter().filter(|image| is_registered(image)).count();
    assert!(registered == images.len() || !build.has_pass(), "{build:?}: {registered}");
    for (mode, (writer, writer_number)) in build.runs() {
        let output = run(in_mode(program, mode).env("STATIC_CALL_WRITER", writer));
        let report = Report::find(&output.stdout);
        let case = format!("{build:?}, {mode:?}, {writer}: {report:?}");
        assert_eq!(report.sites, sites, "{case}");
        let (number, direct) = match mode {
            None | Some("inline" | "trampoline") if !build.has_pass() => (usize::from(registered > 0), 0..=0),
            None | Some("inline") => (2, sites - far.end()..=sites - far.start()),
            Some("trampoline") => (1, 0..=0),
            _ => (0, 0..=0),
        };
        assert_eq!(report.mode, number, "{case}");
        assert!(direct.contains(&report.direct), "{case}: {direct:?} sites should be direct");
        assert_eq!(report.writer, if number == 0 { 0 } else { writer_number }, "{case}");
        assert_eq!(report.images, registered, "{case}");
    }
}

/// Builds a program in every way and [`check`]s it.
pub fn check_all(sources: &[&str]) {
    check_builds(builds(), sources);
}

/// Builds a program in these ways and [`check`]s it.
pub fn check_builds(builds: &[Build], sources: &[&str]) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (number, &build) in builds.iter().enumerate() {
        let program = build.link(
            sources,
            &[],
            &directory.path().join(format!("{number}{}", platform().program_suffix())),
        );
        check(build, &program, &[&program], &(0..=0));
    }
}
