//! The C and C++ programs of `tests/c`: built in every way, run in every mode.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary::StaticCalls;
use crate::platform::platform;
use crate::{execute, plain_clang, plugin, prefix, root, run};

/// What compiles a program, and how it is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// clang with the pass, and the static library.
    Pass,
    /// clang with the pass, and the shared library.
    PassShared,
    /// clang without the pass.
    Clang,
    /// gcc.
    Gcc,
}

/// One way to build a program.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// With which compiler.
    pub compiler: Compiler,
    /// The flag of the optimization level.
    pub level: &'static str,
}

/// Every way to build a program that the tests use.
pub const BUILDS: [Build; 9] = [
    Build { compiler: Compiler::Pass, level: "-O0" },
    Build { compiler: Compiler::Pass, level: "-O3" },
    Build { compiler: Compiler::Pass, level: "-Os" },
    Build { compiler: Compiler::PassShared, level: "-O0" },
    Build { compiler: Compiler::PassShared, level: "-O3" },
    Build { compiler: Compiler::Clang, level: "-O0" },
    Build { compiler: Compiler::Clang, level: "-O3" },
    Build { compiler: Compiler::Gcc, level: "-O0" },
    Build { compiler: Compiler::Gcc, level: "-O3" },
];

/// Values of `STATIC_CALL_MODE`; none leaves it unset, which is inline. An emulator, being slow, does not do that twice.
#[must_use]
pub fn modes() -> &'static [Option<&'static str>] {
    const MODES: [Option<&str>; 4] = [None, Some("trampoline"), Some("generic"), Some("inline")];
    if platform().is_foreign() { &MODES[..3] } else { &MODES }
}

/// Values of `STATIC_CALL_WRITER` that patch, with their numbers in `enum static_call_writer`.
#[must_use]
pub fn writers() -> &'static [(&'static str, usize)] {
    const WRITERS: [(&str, usize); 2] = [("window", 1), ("breakpoint", 2)];
    if platform().has_breakpoints { &WRITERS } else { &WRITERS[..1] }
}

/// Every mode with every writer: what a program is run in.
pub fn modes_and_writers() -> impl Iterator<Item = (Option<&'static str>, (&'static str, usize))> {
    modes().iter().flat_map(|mode| writers().iter().map(move |writer| (*mode, *writer)))
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
        matches!(self.compiler, Compiler::Pass | Compiler::PassShared)
    }

    /// The compiler for a source with this extension, with the flags that every test program is clean under.
    #[must_use]
    pub fn compiler(self, is_cpp: bool) -> Command {
        let mut command = match (self.compiler, is_cpp) {
            (Compiler::Gcc, false) => platform().gnu_program("gcc"),
            (Compiler::Gcc, true) => platform().gnu_program("g++"),
            (_, false) => plain_clang("clang"),
            (_, true) => plain_clang("clang++"),
        };
        if self.has_pass() {
            command.arg(format!("-fpass-plugin={}", plugin().display()));
            // Both kinds of sites are to run: one in half of the programs.
            if ["-O2", "-O3"].contains(&self.level) {
                command.args(platform().unrelaxed);
            }
        }
        command.arg(if is_cpp { "-std=c++17" } else { "-std=gnu11" });
        command.args(["-Wall", "-Wextra", "-Werror", self.level, "-pthread"]);
        // Without it vectors have no calling convention on i686; x86-64 always has it.
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

    /// Builds a shared object of `tests/c` without the runtime: it finds the program's or the shared library.
    #[must_use]
    pub fn shared_object(self, name: &str, output: &Path) -> PathBuf {
        let mut command = self.compiler(false);
        command.args(["-fvisibility=hidden", "-fPIC", "-shared"]).arg(source(name)).arg("-o").arg(output);
        run(&mut command);
        output.into()
    }

    /// As [`Build::link`]; gives shared objects the program's keys, and the runtime in it.
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

    /// The flags that link the library.
    fn link_arguments(self) -> Vec<String> {
        let directory = prefix().join("lib");
        if self.compiler == Compiler::PassShared {
            let directory = directory.display();
            return vec![format!("-L{directory}"), "-lstatic_call".into(), format!("-Wl,-rpath,{directory}")];
        }
        vec![directory.join("libstatic_call.a").display().to_string()]
    }
}

/// What a program reports of itself (`report` in `check.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// `enum static_call_mode`.
    pub mode: usize,
    /// Recorded sites.
    pub sites: usize,
    /// Those that do not go through a trampoline.
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
    for variable in ["STATIC_CALL_MODE", "STATIC_CALL_WRITER", "STATIC_CALL_LOG"] {
        command.env_remove(variable);
    }
    if let Some(mode) = mode {
        command.env("STATIC_CALL_MODE", mode);
    }
    command
}

/// Runs a program in every mode with every writer; the sites it reports have to be those in `images`, all of them direct in
/// the mode inline but for the `far` ones, whose targets are out of reach, and none in the others.
///
/// # Panics
///
/// If they are not, or if the program fails.
pub fn check(build: Build, program: &Path, images: &[&Path], far: usize) {
    let sites: usize = images.iter().map(|image| StaticCalls::read(image).checked()).sum();
    assert_eq!(sites > 0, build.has_pass(), "{build:?}: {sites} sites");
    // Without the pass there is one mode, whatever the variables say.
    let wanted = if build.has_pass() { usize::MAX } else { 1 };
    for (mode, (writer, writer_number)) in modes_and_writers().take(wanted) {
        let output = run(in_mode(program, mode).env("STATIC_CALL_WRITER", writer));
        let report = Report::find(&output.stdout);
        let case = format!("{build:?}, {mode:?}, {writer}: {report:?}");
        assert_eq!(report.sites, sites, "{case}");
        let (number, direct) = match mode {
            _ if !build.has_pass() => (0, 0),
            None | Some("inline") => (2, sites - far),
            Some("trampoline") => (1, 0),
            _ => (0, 0),
        };
        assert_eq!((report.mode, report.direct), (number, direct), "{case}");
        assert_eq!(report.writer, if number == 0 { 0 } else { writer_number }, "{case}");
        let registered = if build.has_pass() { images.len() } else { 0 };
        assert_eq!(report.images, registered, "{case}");
    }
}

/// Builds a program in every way and [`check`]s it.
pub fn check_all(sources: &[&str]) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (number, build) in BUILDS.into_iter().enumerate() {
        let program = build.link(sources, &[], &directory.path().join(number.to_string()));
        check(build, &program, &[&program], 0);
    }
}
