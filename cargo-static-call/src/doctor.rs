//! `cargo static-call doctor`: checks everything that direct calls need.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;
use object::{Object, ObjectSection};
use static_call_abi::installation;

use crate::cargo::{Plan, data_directory, pass, prefix};
use crate::name::counted;
use crate::permissions::Permissions;
use crate::print;
use crate::report;

/// Check the compilers, the pass, the kernel's permissions and the built programs, and say what to do
///
/// Exits with 0 if nothing is wrong. Notes are not faults.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Programs and shared objects to check instead of those that this project has built
    binaries: Vec<PathBuf>,
}

/// The result of one check.
enum Finding {
    Good(String),
    Note(String),
    /// What is wrong, and what to do about it.
    Bad(String, String),
}

use Finding::{Bad, Good, Note};

impl Doctor {
    /// Checks everything and prints it.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let mut is_well = true;
        let mut text = String::new();
        let mut say = |finding: Finding| match finding {
            Good(what) => text += &format!("ok    {what}\n"),
            Note(what) => text += &format!("note  {what}\n"),
            Bad(what, advice) => {
                is_well = false;
                text += &format!("BAD   {what}\n      what to do: {advice}\n");
            }
        };
        let plan = Plan::new(&[]);
        let compiler = crate::cargo::rustc();
        let llvms = plan.as_ref().ok().and_then(|plan| llvms(&pass(&plan.wrapper)));
        let rustc = rustc(&compiler, llvms.as_deref());
        let has_rustc = !matches!(rustc, Bad(..));
        say(rustc);
        match &plan {
            Ok(plan) => {
                let pass = pass(&plan.wrapper);
                let which = which_pass(&pass);
                let has_pass = matches!(which, Good(..));
                say(which);
                // The wrapper knows what is wrong with a damaged one.
                if has_rustc && (has_pass || llvms.is_none() && pass.exists()) {
                    say(rust_pass(&plan.wrapper, &compiler));
                }
                if let Some(llvms) = llvms.filter(|_| has_pass) {
                    c_pass(&plan.wrapper, &llvms).into_iter().for_each(&mut say);
                }
            }
            Err(error) => say(Bad(format!("{error:#}"), GET_PASS.into())),
        }
        kernel().into_iter().chain(settings()).for_each(&mut say);
        if let Ok(plan) = &plan {
            plan.target.as_deref().map(writable).into_iter().for_each(&mut say);
            self.built(plan).into_iter().for_each(&mut say);
            let variables = plan.variables();
            let variables: Vec<String> =
                variables.iter().map(|(name, value)| format!("{name}={}", value.display())).collect();
            let variables = variables.join(" ");
            text += &format!("\n`cargo static-call build` would run here:\n  {variables} cargo build\n");
        }
        text += if is_well { "\nno problems found\n" } else { "" };
        match print::all(&text) {
            Ok(()) if is_well => ExitCode::SUCCESS,
            Ok(()) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("cargo-static-call: error: cannot print: {error}");
                ExitCode::from(2)
            }
        }
    }

    /// Inspects the built programs.
    fn built(&self, plan: &Plan) -> Vec<Finding> {
        let binaries = match (&*self.binaries, &plan.target) {
            ([], Some(target)) => programs_in(target),
            (binaries, _) => binaries.to_vec(),
        };
        if binaries.is_empty() {
            return vec![Note("nothing has been built here with `cargo static-call` yet".into())];
        }
        let mut findings = Vec::new();
        for path in binaries {
            let shown = path.display();
            let report = report::read(&path);
            findings.push(match report {
                Err(error) => Bad(format!("{shown}: {error:#}"), "name a program or shared object".into()),
                Ok(file) if file.keys.is_empty() && !file.is_image => {
                    Note(format!("{shown}: no static calls"))
                }
                Ok(file) if file.unknown.iter().any(|doubt| doubt == report::RUNTIME_WITHOUT_OS) => {
                    Note(format!(
                        "{shown}: calls go through their keys' pointers unless the program calls \
                         set_writer, because static-call was built without its feature \"os\" (\"std\" \
                         implies it)"
                    ))
                }
                Ok(file) if file.all_direct => Good(format!(
                    "{shown}: {} of {} can be made direct",
                    counted(file.sites, "call"),
                    counted(file.keys.len(), "key")
                )),
                Ok(file) => {
                    let because = file.not_direct_because.join("; ");
                    Bad(
                        format!("{shown}: not every call can be made direct: {because}"),
                        format!(
                            "run `cargo static-call inspect {shown}`; build it all with `cargo static-call`"
                        ),
                    )
                }
            });
        }
        findings
    }
}

/// The programs and shared objects in one of cargo's target directories.
fn programs_in(target: &Path) -> Vec<PathBuf> {
    let list = |directory: &Path| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let is_elf = |path: &PathBuf| {
        use std::io::Read;
        let mut start = [0; 4];
        path.is_file()
            && path.extension().is_none_or(|end| !["o", "dwo", "dwp"].iter().any(|debug| end == *debug))
            && fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok()
            && start == *b"\x7fELF"
    };
    let directories = |paths: Vec<PathBuf>| paths.into_iter().filter(|path| path.is_dir());
    // With `--target`, profiles are one level deeper.
    let of_targets = directories(list(target)).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.contains('-')
    });
    let profiles = directories(list(target)).chain(of_targets.flat_map(|path| directories(list(&path))));
    profiles.flat_map(|profile| list(&profile)).filter(is_elf).collect()
}

/// Whether cargo can write its target directory.
fn writable(target: &Path) -> Finding {
    let shown = target.display();
    let existing = target.ancestors().find(|path| path.exists()).unwrap_or(target);
    match tempfile::tempfile_in(existing) {
        Ok(_) => Good(format!("{shown} can be written")),
        Err(error) => Bad(
            format!("{shown} cannot be written: {error}"),
            "make it writable, or build elsewhere: `--target-dir` or CARGO_TARGET_DIR".into(),
        ),
    }
}

/// How to get a pass.
const GET_PASS: &str = "get the archive of this version, and run `cargo static-call setup --from \
                        ARCHIVE`; or build static-call from its sources (`cargo xtask install --prefix \
                        ~/.local`)";

/// Which pass is used, and whether it is of this program's version.
fn which_pass(pass: &Path) -> Finding {
    let shown = pass.display();
    let data = match fs::read(pass) {
        Ok(data) => data,
        Err(error) => return Bad(format!("no pass is installed: {shown}: {error}"), GET_PASS.into()),
    };
    if static_call_abi::pass_llvms(&data).is_none() {
        return Bad(format!("the pass {shown} is missing or damaged"), install_again());
    }
    let own = env!("CARGO_PKG_VERSION");
    let version = static_call_abi::pass_version(&data).unwrap_or("0.1");
    if version != own {
        return Bad(
            format!("the pass {shown} is of static-call {version}, but this program of {own}"),
            GET_PASS.into(),
        );
    }
    let is_named = std::env::var_os(installation::PASS).is_some_and(|path| !path.is_empty());
    let is_set_up = data_directory().is_some_and(|directory| pass.starts_with(directory));
    let origin = match (is_named, is_set_up) {
        (true, _) => installation::PASS,
        (_, true) => "`cargo static-call setup`",
        _ => "the installation of the wrapper",
    };
    Good(format!("the pass is {shown}, of static-call {version}, from {origin}"))
}

/// The LLVMs that a plugin is built for, such as `19, 22`.
fn llvms(pass: &Path) -> Option<String> {
    static_call_abi::pass_llvms(&fs::read(pass).ok()?).map(str::to_owned)
}

fn rustc(compiler: &OsStr, llvms: Option<&str>) -> Finding {
    let shown = compiler.display();
    let output = Command::new(compiler).arg("-vV").output();
    let answer = output.as_ref().map(|output| String::from_utf8_lossy(&output.stdout)).unwrap_or_default();
    let field = |name| answer.lines().find_map(|line| line.strip_prefix(name));
    let major = field("LLVM version: ").and_then(|llvm| llvm.split('.').next()).unwrap_or("VERSION");
    let install = format!(
        "install a Rust release (https://rustup.rs) whose LLVM the pass is built for (`rustc -vV` names it), \
         or static-call with the headers of this one's LLVM (`cargo xtask install --llvm {major}`)"
    );
    match (field("release: "), field("LLVM version: "), llvms) {
        (Some(release), Some(llvm), Some(llvms)) => {
            let text =
                format!("rustc {release} has LLVM {llvm} ({shown}); the pass is built for LLVM {llvms}");
            if llvms.split(", ").any(|other| other == major) { Good(text) } else { Bad(text, install) }
        }
        (Some(release), Some(llvm), None) => Good(format!("rustc {release} has LLVM {llvm} ({shown})")),
        _ => {
            let install = "install a Rust release (https://rustup.rs)".into();
            Bad(format!("`{shown} -vV` prints no version"), install)
        }
    }
}

/// A single call for the pass to lower.
const RUST: &str = "
#![no_std]
extern \"C\" {
    fn __static_call_target(key: *const [usize; 5]) -> *const ();
    static doctor__static_call_key: [usize; 5];
}
#[no_mangle]
pub unsafe fn doctor() {
    core::mem::transmute::<*const (), fn()>(__static_call_target(&raw const doctor__static_call_key))()
}
";
const C: &str = "
#include <static_call.h>
DECLARE_STATIC_CALL(doctor_key, void(void));
void doctor(void) { static_call(doctor_key); }
";

/// Compiles a call through the wrapper, and checks that the pass recorded it.
fn rust_pass(wrapper: &Path, compiler: &OsStr) -> Finding {
    let pass = pass(wrapper);
    let mut rustc = Command::new(wrapper);
    rustc.arg(compiler).args(["--crate-name=doctor", "--crate-type=lib", "--edition=2021", "--emit=obj"]);
    rustc.arg("-Copt-level=1").env(installation::REQUIRE, "1");
    judge(compile(rustc, "doctor.rs", RUST), "rustc", &pass)
}

/// Each clang that the pass is built for: those with the version in their name, and `clang`.
fn c_pass(wrapper: &Path, llvms: &str) -> Vec<Finding> {
    let pass = pass(wrapper);
    let is_served = |clang: &String| {
        let output = Command::new(clang).arg("-dumpversion").output();
        let version = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let major = version.ok().and_then(|version| Some(version.split('.').next()?.to_owned()));
        major.is_some_and(|major| llvms.split(", ").any(|llvm| llvm == major))
    };
    let findings: Vec<Finding> = llvms
        .split(", ")
        .map(|llvm| format!("clang-{llvm}"))
        .chain(["clang".to_owned()])
        .filter(is_served)
        .map(|name| {
            let mut clang = Command::new(&name);
            clang
                .arg(format!("-fpass-plugin={}", pass.display()))
                .args(["-O1", "-c", "-I"])
                .arg(prefix(wrapper).join("include"));
            judge(compile(clang, "doctor.c", C), &name, &pass)
        })
        .collect();
    if findings.is_empty() {
        let last = llvms.rsplit(' ').next().unwrap_or_default();
        return vec![Note(format!(
            "no clang for the pass (LLVM {llvms}) is installed; only C and C++ need it (on Debian: apt \
             install clang-{last})"
        ))];
    }
    findings
}

fn install_again() -> String {
    format!(
        "install static-call again (`cargo xtask install --prefix …`), or set {} to this compiler's pass",
        installation::PASS
    )
}

fn judge(compiled: Result<bool>, compiler: &str, pass: &Path) -> Finding {
    let pass = pass.display();
    match compiled {
        Ok(true) => Good(format!("{compiler} loads the pass {pass}, which records a call")),
        Ok(false) => Bad(
            format!(
                "{compiler} compiles with the pass {pass}, but no call is recorded: the pass does not \
                 support this machine"
            ),
            "nothing: calls go through their keys' pointers, which is correct but slower".into(),
        ),
        Err(error) => {
            Bad(format!("{compiler} does not compile with the pass {pass}: {error:#}"), install_again())
        }
    }
}

/// Whether the resulting object file has recorded calls.
fn compile(mut compiler: Command, name: &str, source: &str) -> Result<bool> {
    let directory = tempfile::tempdir().context("cannot create a temporary directory")?;
    let (file, object) = (directory.path().join(name), directory.path().join("doctor.o"));
    fs::write(&file, source).context("cannot write to the temporary directory")?;
    let output = compiler.arg(&file).arg("-o").arg(&object).output();
    let output = output.with_context(|| format!("cannot run {}", compiler.get_program().display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).take(3).collect();
        anyhow::bail!("{} ({})", lines.join(" / "), output.status);
    }
    let data = fs::read(&object).context("the compiler wrote no object file")?;
    let object = object::File::parse(&*data).context("cannot parse the object file")?;
    let mut sections = object.sections();
    // A relocation: a section with the anchor alone has none.
    Ok(sections.any(|section| {
        section.name() == Ok(static_call_abi::SITES_SECTION) && section.relocations().next().is_some()
    }))
}

fn kernel() -> Vec<Finding> {
    let Permissions { membarrier, window, alias, memory_file, denies_write_execute, has_seccomp } =
        Permissions::of_this_process();
    let mut findings = Vec::new();
    if denies_write_execute {
        findings.push(Note("PR_SET_MDWE is on: no page can become writable and executable".into()));
    }
    if has_seccomp {
        findings.push(Note("a seccomp filter is on, which may forbid system calls".into()));
    }
    let generic = "calls go through their keys' pointers, which is correct but slower";
    match membarrier {
        Ok(()) => findings.push(Good("membarrier(SYNC_CORE) is permitted".into())),
        Err(error) => findings.push(Bad(
            format!("membarrier(SYNC_CORE) is refused ({error}): {generic}"),
            "use Linux 4.16 or newer, and permit membarrier(2) in the seccomp filter (Docker's permits it)"
                .into(),
        )),
    }
    let has_breakpoints = cfg!(target_arch = "x86_64");
    match (window, alias, memory_file) {
        (Ok(()), ..) => {
            findings.push(Good("code can be made writable: programs here use the writer `window`".into()))
        }
        (Err(error), Ok(()), _) => findings.push(Good(format!(
            "code cannot be made writable ({error}), but can be mapped a second time: programs here use the \
             writer `alias`"
        ))),
        (Err(error), Err(_), Ok(())) if has_breakpoints => findings.push(Good(format!(
            "code cannot be made writable ({error}), but can be written through /proc/self/mem: programs \
             here use the writer `breakpoint`"
        ))),
        (Err(error), Err(_), file) => {
            let file = file.err().map(|error| format!(", and /proc/self/mem cannot be written ({error})"));
            findings.push(Bad(
                format!("code cannot be made writable ({error}){}: {generic}", file.unwrap_or_default()),
                "permit mprotect(PROT_WRITE | PROT_EXEC) (SELinux: execmod), or writes to /proc/self/mem"
                    .into(),
            ));
        }
    }
    findings.push(Note("a service may have fewer permissions; run it with STATIC_CALL_LOG=1 to see".into()));
    findings
}

/// The environment variables that change what programs or builds do.
fn settings() -> Vec<Finding> {
    let of_programs = [
        installation::MODE,
        installation::WRITER,
        installation::ENABLE,
        installation::DISPATCH,
        installation::LOG,
    ];
    let names = of_programs.iter().filter_map(|name| name.to_str().ok()).chain([installation::REQUIRE]);
    let set = names.filter_map(|name| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
        Some(Note(format!("{name}={} is set", crate::name::printable(&value))))
    });
    set.collect()
}
