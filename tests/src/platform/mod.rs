//! The machine that the programs are built for and run on: this one, or another one, usually under an
//! emulator.
//!
//! `cargo xtask test --target NAME` names it in `STATIC_CALL_TEST_TARGET`. The tests themselves always run on
//! this machine; to add another one, write a file like `aarch64.rs`, and give it a row in
//! `xtask/src/machines.rs`.

use std::sync::LazyLock;

pub use description::{Branch, Kind, Platform, RecordLayout};

mod aarch64;
mod arm;
mod description;
mod loongarch64;
mod powerpc64le;
mod riscv64;
mod s390x;
mod x86;
mod x86_64;

const PLATFORMS: [Platform; 8] = [
    x86_64::PLATFORM,
    x86::PLATFORM,
    aarch64::PLATFORM,
    arm::PLATFORM,
    loongarch64::PLATFORM,
    powerpc64le::PLATFORM,
    riscv64::PLATFORM,
    s390x::PLATFORM,
];

/// The machine that programs are built for.
///
/// # Panics
///
/// If the tests do not know it.
#[must_use]
pub fn platform() -> &'static Platform {
    static PLATFORM: LazyLock<Platform> = LazyLock::new(|| {
        let name = std::env::var("STATIC_CALL_TEST_TARGET");
        let name = name.as_deref().unwrap_or("x86_64-unknown-linux-gnu");
        let known = PLATFORMS.into_iter().find(|platform| platform.name == name);
        known.unwrap_or_else(|| panic!("STATIC_CALL_TEST_TARGET={name}: the tests do not know this target"))
    });
    &PLATFORM
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use static_call_abi::Record;

    use super::*;

    #[test]
    fn records_of_this_machine_are_as_its_pointers_say() {
        let fields = [
            offset_of!(Record, next),
            offset_of!(Record, sites),
            offset_of!(Record, count),
            offset_of!(Record, saved),
        ];
        let (size, trampoline) = (size_of::<Record>(), offset_of!(Record, trampoline));
        assert_eq!(x86_64::PLATFORM.record(), RecordLayout { size, runtimes_own: fields, trampoline });
    }
}
