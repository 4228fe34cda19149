//! `cargo xtask install`: the compiler wrapper, the pass, the tools and the C library under one directory.
//!
//! ```text
//! bin/static-call-rustc  bin/cargo-static-call  bin/static-call-inspect
//! lib/static-call/libstatic_call_pass.so  lib/static-call/pass-HASH -> libstatic_call_pass.so
//! lib/static-call/as/as  lib/static-call/as-HASH -> as
//! lib/libstatic_call.a  lib/libstatic_call_embedded.a  lib/libstatic_call.so -> libstatic_call.so.0
//! lib/pkgconfig/static-call.pc, static-call-lto.pc, static-call-gcc.pc, static-call-generic.pc,
//!     static-call-embedded.pc
//! lib/cmake/StaticCall/StaticCallConfig.cmake, StaticCallConfigVersion.cmake
//! include/static_branch.h, static_call.h, static_call_plain.h, static_call_registry.h,
//!     static_call_trampoline.h, static_call_without_library.h
//! share/man/man1/*.1, share/man/man3/*.3
//! share/bash-completion/completions/*  share/zsh/site-functions/_*
//! share/fish/vendor_completions.d/*.fish  share/fish/vendor_conf.d/*.fish
//! ```
//!
//! For Windows, the shared library is `bin/libstatic_call.dll`, with `lib/libstatic_call.dll.a` to link with,
//! and there is no `libstatic_call_embedded.a`.
//!
//! Every program finds the others relative to its own path, so the directory may be moved.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Error, Result, bail, ensure};
use static_call_abi::installation::PASS_FILE;
pub use static_call_abi::installation::PASS_PATH as PLUGIN;

use crate::headers;
use crate::hide::hide;
use crate::machines::Machine;
use crate::manual;
use crate::run::{cargo, output, root, run, target};
use crate::weaken::weaken;

/// The shared library for Windows.
const DLL: &str = "libstatic_call.dll";

/// The program that gcc runs instead of the assembler, in a directory of its own for `-B`.
const ASSEMBLER: &str = "lib/static-call/as/as";

/// The prefix that the tests, the demo and the benchmark use.
pub fn prefix() -> PathBuf {
    target().join("prefix")
}

/// Installs into this prefix. If rustc could not load the pass from there, this is an error before anything
/// is built.
pub fn install_here() -> Result<()> {
    let prefix = prefix();
    let is_split = prefix.to_string_lossy().contains(|c: char| c.is_whitespace() || c == ',');
    ensure!(
        !is_split,
        "rustc splits the paths of its plugins at spaces and commas, and so cannot load one from {}: move \
         the repository, or set CARGO_TARGET_DIR to a directory without them in its path",
        prefix.display()
    );
    install(&prefix, &[])
}

/// Installs everything for this machine, with a pass for these LLVMs, or for all that are installed.
pub fn install(prefix: &Path, llvms: &[String]) -> Result<()> {
    // C builds accept spaces and commas in the path; the wrapper does not.
    let mistaken = |&c: &char| "'\"$\\:;()<>".contains(c) || c.is_control();
    if let Some(c) = std::path::absolute(prefix)?.to_string_lossy().chars().find(mistaken) {
        bail!(
            "{} has a character that pkg-config or a build tool takes for something else ({}): install to \
             another path",
            prefix.display(),
            c.escape_default()
        );
    }
    install_built(prefix, llvms, &Build::here(), &Build::here())
}

/// Installs the programs for this machine, and the C library for another one, built by this rustc.
pub fn install_for(prefix: &Path, machine: Option<(&Machine, Option<&Path>)>) -> Result<()> {
    let Some((machine, rustc)) = machine else {
        return install_built(prefix, &[], &Build::here(), &Build::here());
    };
    let library = Build {
        prepare: &|cargo| machine.prepare(cargo, rustc),
        products: machine.products(&target()),
        gnu: &|name| machine.gnu_program(name),
        runner: None,
        drops_garbage: machine.drops_garbage,
        is_windows: machine.is_windows(),
    };
    install_built(prefix, &[], &Build::here(), &library)
}

/// How a part of the installation is built.
pub struct Build<'a> {
    /// Tells cargo for which machine, and with what.
    pub prepare: &'a dyn Fn(&mut Command),
    /// Where cargo puts what it builds.
    pub products: PathBuf,
    /// GNU's tools for that machine.
    pub gnu: &'a dyn Fn(&str) -> Command,
    /// The emulator that runs that machine's programs, with its arguments. None: they run here.
    pub runner: Option<Vec<OsString>>,
    /// Whether GNU ld drops unused sections there.
    pub drops_garbage: bool,
    /// Whether its libraries are Windows'.
    pub is_windows: bool,
}

impl Build<'_> {
    /// For this machine, as cargo builds by itself.
    fn here() -> Self {
        let (prepare, gnu) = (&|_: &mut Command| {}, &|name: &str| Command::new(name));
        Self { prepare, products: target(), gnu, runner: None, drops_garbage: true, is_windows: false }
    }
}

/// Builds and installs the programs and the pass in one way, and the C library in another.
pub fn install_built(
    prefix: &Path,
    llvms: &[String],
    programs: &Build<'_>,
    library: &Build<'_>,
) -> Result<()> {
    let is_default = llvms.is_empty();
    let mut build = cargo();
    build
        .args(["build", "--quiet", "--release"])
        .args(["-p", "static-call-pass"])
        .args(["-p", "static-call-rustc"])
        .args(["-p", "cargo-static-call"])
        .env(headers::CHOICE, headers_of(llvms)?);
    (programs.prepare)(&mut build);
    run(&mut build)?;
    build_assembler(programs)?;
    let mut build = cargo();
    build.args(["build", "--quiet", "--profile", "c-library", "-p", "static-call-c"]);
    (library.prepare)(&mut build);
    run(&mut build)?;

    let release = programs.products.join("release");
    for program in ["static-call-rustc", "cargo-static-call", "static-call-inspect"] {
        copy(&release.join(program), &prefix.join("bin").join(program))?;
    }
    let plugin = prefix.join(PLUGIN);
    copy_and(&release.join(PASS_FILE), &plugin, weaken)?;
    let llvms = llvms_of(&plugin)?;
    let directory = plugin.parent().expect("it lies in a directory");
    let pass = link_with_hash(&plugin, directory, "pass", PASS_FILE)?;
    let assembler = prefix.join(ASSEMBLER);
    copy(&release.join("static-call-as"), &assembler)?;
    let assembler = link_with_hash(&assembler, directory, "as", "as")?;
    for header in [
        "static_branch.h",
        "static_call.h",
        "static_call_plain.h",
        "static_call_registry.h",
        "static_call_trampoline.h",
        "static_call_without_library.h",
    ] {
        copy(&root().join("runtime/include").join(header), &prefix.join("include").join(header))?;
    }
    cmake_package(&prefix.join("lib/cmake/StaticCall"), &pass, &assembler, &llvms)?;
    let share = prefix.join("share");
    let words = programs.runner.iter().flatten().cloned();
    let mut words = words.chain([prefix.join("bin/cargo-static-call").into_os_string()]);
    let mut program = Command::new(words.next().expect("a program"));
    run(program.args(words).arg("share").arg(&share))?;
    manual::write(&share)?;

    let built = library.products.join("c-library");
    if !library.is_windows {
        copy(&built.join("libstatic_call_c.so"), &prefix.join("lib/libstatic_call.so.0"))?;
        link(&prefix.join("lib/libstatic_call.so"), "libstatic_call.so.0")?;
    }
    archive(&built.join("libstatic_call_c.a"), &prefix.join("lib/libstatic_call.a"), library)?;
    for (name, text) in pkg_config(&pass, &assembler, &llvms) {
        write(&prefix.join("lib/pkgconfig").join(name), &text)?;
    }
    println!("installed in {}, with the pass for LLVM {llvms}", prefix.display());
    if is_default {
        headers::unknown(&headers::places()).iter().for_each(|unknown| println!("left out: {unknown}"));
    }
    Ok(())
}

/// Builds `static-call-as`, which a compiler starts for each file. Where there is a static libc, the program
/// needs no dynamic linker, and starts before libc (`assembler/src/start.rs`).
fn build_assembler(programs: &Build<'_>) -> Result<()> {
    let mut build = cargo();
    build.args(["rustc", "--quiet", "--release", "-p", "static-call-as", "--bin", "static-call-as"]);
    (programs.prepare)(&mut build);
    let has_entry = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
    if has_entry && has_static_libc(programs)? {
        build.args(["--", "-Ctarget-feature=+crt-static", "-Crelocation-model=static"]);
        build.arg("-Clink-arg=-Wl,-e,static_call_as_start");
    }
    run(&mut build)
}

/// Fedora, for one, has it in a package of its own.
fn has_static_libc(programs: &Build<'_>) -> Result<bool> {
    let mut gcc = (programs.gnu)("gcc");
    let found = output(gcc.arg("-print-file-name=libc.a"))?;
    Ok(Path::new(found.trim()).is_absolute())
}

/// The directories of these LLVMs' headers, or of all that are installed, for the pass's build script, which
/// runs in another directory.
fn headers_of(llvms: &[String]) -> Result<String> {
    let found = headers::find(&llvms.join(","), &headers::places()).map_err(Error::msg)?;
    let absolute = |include: &PathBuf| {
        let include = std::path::absolute(include)?;
        Ok(include.to_str().context("a path that is not UTF-8")?.to_owned())
    };
    Ok(found.values().map(absolute).collect::<Result<Vec<_>>>()?.join(","))
}

/// The versions of LLVM that a plugin is built for: `19, 22`.
pub fn llvms_of(plugin: &Path) -> Result<String> {
    let data = fs::read(plugin).with_context(|| format!("cannot read {}", plugin.display()))?;
    let llvms = static_call_abi::pass_llvms(&data);
    Ok(llvms.with_context(|| format!("{} does not say which LLVM it is for", plugin.display()))?.to_owned())
}

/// Cargo that builds with the installed pass into a directory. Cargo does not track the pass, so the
/// directory is removed if another pass was used there.
pub fn cargo_with_pass(directory: &Path) -> Result<Command> {
    let pass = hash(&prefix().join(PLUGIN))?;
    let stamp = directory.join("pass");
    if !fs::read_to_string(&stamp).is_ok_and(|before| before == pass) {
        if directory.exists() {
            fs::remove_dir_all(directory)
                .with_context(|| format!("cannot remove {}", directory.display()))?;
        }
        write(&stamp, &pass)?;
    }
    let mut cargo = cargo();
    cargo
        .env("CARGO_TARGET_DIR", directory)
        .env("RUSTC_WRAPPER", prefix().join("bin/static-call-rustc"))
        .env("STATIC_CALL_REQUIRE", "1");
    Ok(cargo)
}

/// Makes the static library: the single object that link-time optimization makes of the runtime, with its C
/// symbols but no Rust symbols, so that it can be linked beside any other Rust library. Also makes the
/// variant for libraries that embed it, with hidden symbols.
fn archive(from: &Path, to: &Path, build: &Build<'_>) -> Result<()> {
    let gnu = build.gnu;
    let directory = to.parent().expect("a file in lib/");
    let object = directory.join("static_call.o");
    let garbage: &[&str] = if build.drops_garbage { &["--gc-sections", "--gc-keep-exported"] } else { &[] };
    run(gnu("ld")
        .arg("-r")
        .args(garbage)
        .args(["-u", static_call_abi::REGISTER, "-o"])
        .arg(&object)
        .arg(from))?;
    run(gnu("objcopy")
        .args(["--wildcard", "-G", "__static_call_*", "-G", "static_call_*"])
        // Bitcode of another LLVM confuses linkers that have LLVM's plugin.
        .args(["--strip-unneeded", "--remove-section=.llvmbc", "--remove-section=.llvmcmd"])
        .arg(&object))?;
    let pack = |to: &Path| {
        let _ = fs::remove_file(to);
        run(gnu("ar").arg("rcs").arg(to).arg(&object))
    };
    pack(to)?;
    if build.is_windows {
        dll(&object, directory, build)?;
        return fs::remove_file(&object).with_context(|| format!("cannot remove {}", object.display()));
    }
    hide(&object)?;
    pack(&directory.join("libstatic_call_embedded.a"))?;
    fs::remove_file(&object).with_context(|| format!("cannot remove {}", object.display()))
}

/// Makes the DLL, which exports all symbols of the object that are not local, and its import library. There
/// is no variant for libraries that embed the runtime: PE has no hidden symbols.
fn dll(object: &Path, directory: &Path, build: &Build<'_>) -> Result<()> {
    let programs = directory.with_file_name("bin");
    fs::create_dir_all(&programs).with_context(|| format!("cannot make {}", programs.display()))?;
    let mut implib = OsString::from("-Wl,--out-implib=");
    implib.push(directory.join("libstatic_call.dll.a"));
    run((build.gnu)("gcc").arg("-shared").arg(object).arg(implib).arg("-o").arg(programs.join(DLL)))
}

/// Makes a link for compilers' flags, named `start`, a dash and the hash of `file`: neither ccache nor old
/// versions of sccache read plugins or assemblers, and Meson before 1.4 treats a flag that ends in `.so` as a
/// library to link. Returns the link's name.
fn link_with_hash(file: &Path, directory: &Path, start: &str, target: &str) -> Result<String> {
    let start = format!("{start}-");
    for entry in fs::read_dir(directory)?.filter_map(Result::ok) {
        if entry.file_name().as_encoded_bytes().starts_with(start.as_bytes()) {
            fs::remove_file(entry.path())?;
        }
    }
    let name = start + &hash(file)?;
    link(&directory.join(&name), target)?;
    Ok(name)
}

/// A hash of a file's content.
pub fn hash(file: &Path) -> Result<String> {
    let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&content);
    Ok(format!("{:016x}", hasher.finish()))
}

/// Writes the CMake package from its templates.
fn cmake_package(directory: &Path, pass: &str, assembler: &str, llvms: &str) -> Result<()> {
    for name in ["StaticCallConfig.cmake", "StaticCallConfigVersion.cmake"] {
        let template = root().join("cmake").join(name).with_added_extension("in");
        let text =
            fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
        let text = text.replace("@VERSION@", env!("CARGO_PKG_VERSION"));
        let text = text.replace("@PASS@", pass).replace("@ASSEMBLER@", assembler);
        let text = text.replace("@LLVMS@", llvms);
        write(&directory.join(name), &text)?;
    }
    Ok(())
}

/// The pkg-config packages: for clang with the pass, the same with link-time optimization, for gcc, for any
/// compiler, and for libraries that embed the runtime.
fn pkg_config(pass: &str, assembler: &str, llvms: &str) -> [(&'static str, String); 5] {
    let head = "prefix=${pcfiledir}/../..\nlibdir=${prefix}/lib\nincludedir=${prefix}/include\n";
    let version = env!("CARGO_PKG_VERSION");
    let with_pass = format!(
        "{head}\
         plugin=${{libdir}}/static-call/libstatic_call_pass.so\n\
         llvms={}\n\
         \n\
         Name: static-call\n\
         Description: direct calls through function pointers that rarely change (for clang {llvms})\n\
         Version: {version}\n\
         Requires: static-call-generic = {version}\n\
         Cflags: -fpass-plugin=${{libdir}}/static-call/{pass} -DSTATIC_CALL_WITH_PASS\n",
        llvms.replace(',', "")
    );
    // `-Wl,` would split a path at its commas. cmake/StaticCallConfig.cmake.in explains the last flag.
    let optimized = format!(
        "{head}\
         \n\
         Name: static-call-lto\n\
         Description: static-call where LLD optimizes (for clang {llvms} with -flto)\n\
         Version: {version}\n\
         Requires: static-call = {version}\n\
         Libs: -fuse-ld=lld -Xlinker --load-pass-plugin=${{libdir}}/static-call/{pass} \
         -Wl,-mllvm=-internalize-public-api-list=static-call-{pass}\n"
    );
    // With -flto, gcc runs the assembler when it links.
    let gcc = format!(
        "{head}\
         \n\
         Name: static-call-gcc\n\
         Description: static-call with an assembler that records calls (for gcc)\n\
         Version: {version}\n\
         Requires: static-call-generic = {version}\n\
         Cflags: -B${{libdir}}/static-call/{assembler}\n\
         Libs: -B${{libdir}}/static-call/{assembler}\n"
    );
    let generic = format!(
        "{head}\
         \n\
         Name: static-call-generic\n\
         Description: static-call without its pass, for any compiler\n\
         Version: {version}\n\
         Cflags: -I${{includedir}}\n\
         Libs: -L${{libdir}} -lstatic_call\n"
    );
    let embedded = format!(
        "{head}\
         \n\
         Name: static-call-embedded\n\
         Description: static-call's runtime, hidden in the library that embeds it (for any compiler)\n\
         Version: {version}\n\
         Cflags: -I${{includedir}}\n\
         Libs: -L${{libdir}} -lstatic_call_embedded\n"
    );
    [
        ("static-call.pc", with_pass),
        ("static-call-lto.pc", optimized),
        ("static-call-gcc.pc", gcc),
        ("static-call-generic.pc", generic),
        ("static-call-embedded.pc", embedded),
    ]
}

/// Copies a file.
fn copy(from: &Path, to: &Path) -> Result<()> {
    copy_and(from, to, |_| Ok(()))
}

/// Copies a file, and changes the copy before anybody sees it. The old one stays as it is for its users (a
/// plugin in a running compiler), and if we are interrupted, there is no part of the new one: a compiler
/// would crash if it loaded that.
fn copy_and(from: &Path, to: &Path, change: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    make_parent(to)?;
    let draft = to.with_added_extension("new");
    let cannot = || format!("cannot copy {} to {}", from.display(), to.display());
    fs::copy(from, &draft).with_context(cannot)?;
    change(&draft)?;
    fs::rename(&draft, to).with_context(cannot)
}

/// Makes a symbolic link, replacing whatever exists.
fn link(from: &Path, to: &str) -> Result<()> {
    let _ = fs::remove_file(from);
    symlink(to, from).with_context(|| format!("cannot make the link {}", from.display()))
}

fn write(to: &Path, text: &str) -> Result<()> {
    make_parent(to)?;
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))
}

fn make_parent(file: &Path) -> Result<()> {
    let directory = file.parent().expect("files lie below the prefix");
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))
}
