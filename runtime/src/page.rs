//! Memory that shares its pages with nothing else.

use crate::arch::native;

/// The largest unit in which memory is protected here.
#[cfg_attr(not(static_call_trampolines), allow(unreachable_pub, reason = "only their macros need it"))]
pub const PAGE: usize = native::ARCHITECTURE.page_size;

/// Alone on its pages.
#[cfg_attr(
    any(target_arch = "x86_64", target_arch = "x86", target_arch = "riscv64", target_arch = "s390x"),
    repr(C, align(4096))
)]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "riscv64", target_arch = "s390x")),
    repr(C, align(65536))
)]
pub(crate) struct Page<T>(pub(crate) T);

const _: () = assert!(align_of::<Page<u8>>().is_multiple_of(PAGE));
