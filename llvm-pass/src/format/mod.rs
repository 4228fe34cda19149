//! What the pass must know about an object format: where the tables are, how they are kept in order and
//! found, and how code reaches what another image defines.
//!
//! To add one: a file like `coff.rs`, its line in [`of`], and its half of the machine stage, like
//! `cpp/coff.h`.

mod coff;
mod description;
mod elf;
mod mach_o;

pub(crate) use description::{Access, Format, Hooks, Table, one_per_image};

/// The format that code of this triple (`architecture-vendor-system-environment`) is written in, if calls are
/// recorded there.
pub(crate) fn of(triple: &str) -> Option<&'static dyn Format> {
    let rest: Vec<&str> = triple.split('-').skip(1).collect();
    let has = |names: &[&str]| rest.iter().any(|part| names.iter().any(|name| part.starts_with(name)));
    if has(mach_o::NAMES) || has(OTHERS) || has(coff::WITHOUT_SITES) {
        None
    } else if has(coff::NAMES) {
        // An environment may name another format.
        (!has(&["elf"])).then_some(&coff::Coff)
    } else {
        // Bare metal ("none", "elf") included.
        Some(&elf::Elf)
    }
}

/// Names in triples of other formats: WebAssembly, XCOFF and GOFF.
const OTHERS: &[&str] = &["wasi", "xcoff", "zos", "goff"];
