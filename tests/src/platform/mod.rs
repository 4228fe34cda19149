//! The machine that programs are built for and run on: this one, or another one, usually under an emulator.
//!
//! `cargo xtask test --target NAME` passes its name in `STATIC_CALL_TEST_TARGET`. The tests themselves always
//! run on this machine. To add a machine, write a file like `aarch64.rs` and add a row to
//! `xtask/src/machines.rs`, which installs what the tests of other machines need.

use std::sync::LazyLock;

pub use description::{Branch, Kind, Platform};

mod aarch64;
mod arm;
mod description;
mod loongarch64;
mod powerpc64le;
mod riscv64;
mod s390x;
mod x86;
mod x86_64;
mod x86_64_windows;

const PLATFORMS: [Platform; 9] = [
    x86_64::PLATFORM,
    x86_64_windows::PLATFORM,
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
