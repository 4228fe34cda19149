//! What the linker of another object format must be told.
//!
//! rustc makes GNU ld collect garbage. In COFF nothing refers to the table of sites, so GNU ld would drop all
//! of it, and calls would stay on their trampolines. (LLD keeps an entry with its function.)

use std::path::Path;

use crate::invocation::Invocation;

/// The option that keeps the sites, if a program for Windows might be linked by GNU ld. rustc puts it behind
/// its own `--gc-sections`, ignores it for libraries, and does not count it when it compares crates.
pub(crate) fn flag(invocation: &Invocation) -> Option<&'static str> {
    let target = invocation.values_of("--target").last()?;
    // A specification may be a file.
    if !Path::new(target).file_stem()?.to_str()?.ends_with("-windows-gnu") {
        return None;
    }
    let is_lld = |value: &str| value.contains("lld");
    let mut linker = "";
    for (name, value) in invocation.codegen_options() {
        match &*name {
            "linker" => linker = value,
            "link-arg" | "link-args" | "linker-flavor" if is_lld(value) => return None,
            _ => {}
        }
    }
    let linker = Path::new(linker).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let linker = linker.strip_suffix(".exe").unwrap_or(linker);
    match linker {
        _ if is_lld(linker) => None,
        // GNU ld itself, not a compiler that runs it.
        "ld" => Some("-Clink-arg=--no-gc-sections"),
        _ if linker.ends_with("-ld") || linker.ends_with(".bfd") => Some("-Clink-arg=--no-gc-sections"),
        _ => Some("-Clink-arg=-Wl,--no-gc-sections"),
    }
}
