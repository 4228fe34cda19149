//! Compiles the C++ part once for each LLVM whose headers are there. LLVM itself comes from the compiler that
//! loads the plugin.
//!
//! `STATIC_CALL_LLVM` chooses: a list of major versions, and of directories with an LLVM or its headers.
//! Without it, all are used that are installed where LLVM's own `llvm-config` or a distribution puts them.
//!
//! The headers define many inline functions whose layouts differ from one LLVM to the next. So each part is
//! linked into one object that keeps all symbols but its table to itself.

mod headers;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

fn main() {
    println!("cargo::rerun-if-changed=cpp");
    println!("cargo::rerun-if-changed=src/shim.rs");
    println!("cargo::rerun-if-env-changed={}", headers::CHOICE);
    println!("cargo::rerun-if-env-changed=PATH");
    if let Err(problem) = build() {
        println!("cargo::error={problem}");
    }
}

fn build() -> Result<(), String> {
    check_order()?;
    let headers = headers::find(&env::var(headers::CHOICE).unwrap_or_default(), &headers::places())?;
    for include in headers.values() {
        println!("cargo::rerun-if-changed={}", headers::configuration(include).display());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let llvms: Vec<_> = headers.iter().collect();
    let mut objects = Vec::new();
    let at_once = env::var("NUM_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(1);
    for some in llvms.chunks(at_once) {
        let compiled: Vec<Result<PathBuf, String>> = thread::scope(|scope| {
            let threads: Vec<_> =
                some.iter().map(|(major, include)| scope.spawn(|| compile(**major, include, &out))).collect();
            threads.into_iter().map(|thread| thread.join().expect("it returns its errors")).collect()
        });
        objects.extend(compiled.into_iter().collect::<Result<Vec<_>, _>>()?);
    }
    cc::Build::new()
        .cpp(true)
        // A compiler may bring its own C++ library, as rustc's LLVM does, on a machine that has no other.
        .cpp_link_stdlib_static(true)
        .objects(objects)
        .compile("static_call_cpp");
    let majors: Vec<u32> = headers.into_keys().collect();
    fs::write(out.join("shims.rs"), table(&majors)).map_err(|error| format!("cannot write shims.rs: {error}"))
}

/// Compiles the C++ part for one LLVM to one object.
fn compile(major: u32, include: &Path, out: &Path) -> Result<PathBuf, String> {
    let table = format!("static_call_shim_{major}");
    let compiled = out.join(format!("{table}.compiled.o"));
    let object = out.join(format!("{table}.o"));
    let compiler = cc::Build::new()
        .cpp(true)
        .std("c++17")
        .define("STATIC_CALL_SHIM", &*table)
        .flag("-isystem")
        .flag(include)
        // LLVM is built this way too: its classes have no type information to link against.
        .flag("-fno-rtti")
        .flag("-fno-exceptions")
        .flag("-fvisibility=hidden")
        .flag("-fvisibility-inlines-hidden")
        // Symbols that the linker would still merge.
        .flag_if_supported("-fno-gnu-unique")
        // There may be many LLVMs, and little of their time is spent here.
        .opt_level(1)
        .flag("-Wno-unused-parameter")
        .flag("-Wno-comment")
        // LLVM's symbols come from the process that loads the plugin.
        .pic(true)
        .cargo_metadata(false)
        .try_get_compiler()
        .map_err(|error| error.to_string())?;
    let mut compile = compiler.to_command();
    let output = compile.args(["-c", "cpp/one_llvm.cpp", "-o"]).arg(&compiled).output();
    let output = output.map_err(|error| format!("cannot run {}: {error}", compiler.path().display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(headers::do_not_compile(major, include, &said));
    }
    said.lines().for_each(|line| println!("cargo::warning={line}"));
    // Without groups, whose members the linker would merge with those of another LLVM.
    run(tool("ld")?.args(["-r", "--force-group-allocation", "-o"]).arg(&object).arg(compiled))?;
    run(tool("objcopy")?.arg(format!("--keep-global-symbol={table}")).arg(&object))?;
    Ok(object)
}

/// The compiler's own program of this name: for another machine, it is that one's.
fn tool(name: &str) -> Result<Command, String> {
    let compiler = cc::Build::new().cpp(true).cargo_metadata(false).get_compiler();
    let found = compiler.to_command().arg(format!("-print-prog-name={name}")).output();
    let found = found.map_err(|error| format!("cannot run {}: {error}", compiler.path().display()))?;
    let found = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    // A compiler that knows no such program prints nothing, or the name.
    Ok(Command::new(if found.is_empty() { name } else { &found }))
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program} fails with {status}")),
        Err(error) => Err(format!("cannot run {program}: {error}; install GNU binutils")),
    }
}

/// Rust code that finds the table of a version.
fn table(majors: &[u32]) -> String {
    let list = majors.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let version = env!("CARGO_PKG_VERSION");
    let mut text =
        format!("const FACTS: &str = \"static_call_version={version};static_call_llvms={list};\";\n");
    text += "unsafe extern \"C\" {\n";
    text.extend(majors.iter().map(|major| format!("    safe static static_call_shim_{major}: Shim;\n")));
    text += "}\nfn for_llvm(major: c_uint) -> Option<&'static Shim> {\n    match major {\n";
    text.extend(majors.iter().map(|major| format!("        {major} => Some(&static_call_shim_{major}),\n")));
    text + "        _ => None,\n    }\n}\n"
}

/// Three files list the functions, in one order.
fn check_order() -> Result<(), String> {
    let functions = |file: &str, from: &str| {
        let text = fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"))?;
        let text = &text[text.find(from).ok_or_else(|| format!("{file} has no `{from}`"))?..];
        let mut names: Vec<String> = Vec::new();
        for part in text.split("static_call_shim_").skip(1) {
            let name: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok::<_, String>(names)
    };
    let declared = functions("cpp/shim.h", "What the shim provides")?;
    for (file, from) in [
        ("cpp/shim.h", "struct StaticCallShim"),
        ("cpp/one_llvm.cpp", "STATIC_CALL_SHIM = {"),
        ("src/shim.rs", "functions! {"),
    ] {
        if functions(file, from)? != declared {
            return Err(format!("{file} lists the shim's functions in another order than cpp/shim.h"));
        }
    }
    Ok(())
}
