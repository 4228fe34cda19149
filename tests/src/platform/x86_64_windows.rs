use super::description::Platform;
use super::x86_64;

/// Windows, under Wine.
pub(super) const PLATFORM: Platform = Platform {
    name: "x86_64-pc-windows-gnu",
    gnu: Some("x86_64-w64-mingw32"),
    is_unpacked: false,
    emulator: Some("/usr/lib/wine/wine64"),
    has_breakpoints: false,
    own_flags: &[],
    own_instrumentation: &[],
    ..x86_64::PLATFORM
};
