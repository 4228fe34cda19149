//! The kernel of `examples/kernel`, booted in an emulated machine: it patches its own code.

use std::path::Path;
use std::process::Command;

use static_call_tests::binary::{StaticCalls, has_site_table, keys_on_pages_of_their_own};
use static_call_tests::{root, rust, stdout};

/// The kernel's output for this number of recorded sites. Without a site table, calls do not change.
fn expected(sites: Option<usize>) -> String {
    let (at_boot, with_writer) = if sites.is_some() {
        (
            "generic, writer none: this build of the runtime does not use the operating system, and \
             set_writer was not called",
            "inline, writer custom: calls are patched",
        )
    } else {
        let reason = "generic, writer none: no call in this process was made direct: nothing was compiled \
                          with the static-call pass, or nothing that it can lower";
        (reason, reason)
    };
    let sites = sites.unwrap_or(0);
    format!(
        "mode {at_boot}\n\
         boot: task 2, checksum 6, traced 0; 0 of {sites} sites direct\n\
         mode {with_writer}\n\
         writer: task 2, checksum 6, traced 0; {sites} of {sites} sites direct\n\
         update: task 2, checksum 14, traced 0; {sites} of {sites} sites direct\n\
         batch: task 6, checksum 14, traced 1; {sites} of {sites} sites direct\n\
         off: task 6, checksum 14, traced 1; {sites} of {sites} sites direct\n\
         ok\n"
    )
}

/// Boots the kernel and returns the output of the serial line. The script stops the machine after a minute,
/// and names the Debian package of a missing emulator.
fn boot(kernel: &Path) -> String {
    stdout(Command::new(root().join("examples/kernel/boot")).arg(kernel))
}

#[test]
fn a_kernel_on_x86_64() {
    let kernel = rust::kernel("x86_64-unknown-none");
    let sites = StaticCalls::read(&kernel).checked();
    assert!(sites > 0);
    assert_eq!(keys_on_pages_of_their_own(&kernel), 3);
    assert_eq!(boot(&kernel), expected(Some(sites)));
}

/// Whatever mode the runtime uses on the architecture, sites that the pass records are patched.
#[test]
fn a_kernel_on_aarch64() {
    let kernel = rust::kernel("aarch64-unknown-none-softfloat");
    let sites = has_site_table(&kernel).then(|| StaticCalls::read(&kernel).recorded.len());
    assert_eq!(boot(&kernel), expected(sites));
}
