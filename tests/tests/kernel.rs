//! The kernel of `examples/kernel`, booted in an emulated machine: it patches its own code.

use std::path::Path;
use std::process::Command;

use static_call_tests::binary::{StaticCalls, has_site_table, keys_on_pages_of_their_own};
use static_call_tests::{root, rust, stdout};

/// What the kernel sends over the serial line, if it has this many sites and patches them or not.
fn expected(sites: usize, patches: bool) -> String {
    let (mode, writer, direct) = if patches { ("inline", "custom", sites) } else { ("generic", "none", 0) };
    format!(
        "mode generic, writer none\n\
         boot: task 2, checksum 6, traced 0; 0 of {sites} sites direct\n\
         mode {mode}, writer {writer}\n\
         writer: task 2, checksum 6, traced 0; {direct} of {sites} sites direct\n\
         update: task 2, checksum 14, traced 0; {direct} of {sites} sites direct\n\
         batch: task 6, checksum 14, traced 1; {direct} of {sites} sites direct\n\
         off: task 6, checksum 14, traced 1; {direct} of {sites} sites direct\n\
         ok\n"
    )
}

/// Boots it; the serial line's output. The script ends the machine after a minute, and names the Debian
/// package of a machine that is missing.
fn boot(kernel: &Path) -> String {
    stdout(Command::new(root().join("examples/kernel/boot")).arg(kernel))
}

#[test]
fn a_kernel_on_x86_64() {
    let kernel = rust::kernel("x86_64-unknown-none");
    let sites = StaticCalls::read(&kernel).checked();
    assert!(sites > 0);
    assert_eq!(keys_on_pages_of_their_own(&kernel), 3);
    assert_eq!(boot(&kernel), expected(sites, true));
}

/// In whatever mode the runtime has for the architecture: where the pass records sites, they are patched.
#[test]
fn a_kernel_on_aarch64() {
    let kernel = rust::kernel("aarch64-unknown-none-softfloat");
    let sites = StaticCalls::read(&kernel).recorded.len();
    assert_eq!(boot(&kernel), expected(sites, has_site_table(&kernel)));
}
