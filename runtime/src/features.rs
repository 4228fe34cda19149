//! The features of processors, by the names that `#[target_feature]` gives them.
//!
//! With the feature `std`, Rust's standard library asks the processor. Without it, x86's is asked here, which
//! takes an instruction; elsewhere the operating system would have to be asked, so only the features that the
//! program is compiled for are there.

/// A feature that stands in a list of guards: its name, and whether this crate is compiled for it.
type Feature = (&'static str, bool);

/// Whether all features of a list, with commas between them, can be asked for on this architecture.
#[must_use]
pub const fn are_known(list: &str) -> bool {
    are_all(list, false)
}

/// Whether the program is compiled for all features of the first list: then no processor that runs it lacks
/// one.
#[must_use]
pub const fn is_first_enabled(lists: &[&str]) -> bool {
    match lists {
        [] => false,
        [first, ..] => are_all(first, true),
    }
}

/// Whether the processor has all features of a list, which may be empty.
pub(crate) fn are_detected(list: &str) -> bool {
    list.split(',').all(|name| name.is_empty() || is_enabled(name) || is_detected(name))
}

fn is_enabled(name: &str) -> bool {
    FEATURES.iter().any(|&(known, is_enabled)| known == name && is_enabled)
}

/// Whether all names of a list are known, and if asked for, enabled.
const fn are_all(list: &str, enabled: bool) -> bool {
    let bytes = list.as_bytes();
    let (mut start, mut end) = (0, 0);
    while end <= bytes.len() {
        if end == bytes.len() || bytes[end] == b',' {
            if !is_one(bytes, start, end, enabled) {
                return false;
            }
            start = end + 1;
        }
        end += 1;
    }
    true
}

const fn is_one(list: &[u8], start: usize, end: usize, enabled: bool) -> bool {
    let mut index = 0;
    while index < FEATURES.len() {
        let (name, is_enabled) = FEATURES[index];
        let name = name.as_bytes();
        if name.len() == end - start {
            let mut same = 0;
            while same < name.len() && name[same] == list[start + same] {
                same += 1;
            }
            if same == name.len() {
                return is_enabled || !enabled;
            }
        }
        index += 1;
    }
    false
}

/// The names, and how to ask for each: by `$detect!` where there is the standard library.
macro_rules! features {
    ($detect:path; $($name:tt)*) => {
        const FEATURES: &[Feature] = &[$(($name, cfg!(target_feature = $name))),*];

        #[cfg(feature = "std")]
        fn is_detected(name: &str) -> bool {
            match name {
                $($name => { use $detect as detect; detect!($name) })*
                _ => false,
            }
        }
    };
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
macro_rules! x86 {
    ($($name:tt $leaf:ident $bit:literal $state:ident;)*) => {
        features! { std::arch::is_x86_feature_detected; $($name)* }

        /// AMD64 Architecture Programmer's Manual, volume 3, appendix E; Intel's manual, volume 2, CPUID.
        #[cfg(any(not(feature = "std"), test))]
        fn is_detected_by_cpuid(name: &str) -> bool {
            match name {
                $($name => cpuid::has(cpuid::Leaf::$leaf, $bit, cpuid::State::$state),)*
                _ => false,
            }
        }

        #[cfg(not(feature = "std"))]
        use is_detected_by_cpuid as is_detected;
    };
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
x86! {
    "fxsr" Edx1 24 Any;
    "sse" Edx1 25 Any;
    "sse2" Edx1 26 Any;
    "sse3" Ecx1 0 Any;
    "pclmulqdq" Ecx1 1 Any;
    "ssse3" Ecx1 9 Any;
    "fma" Ecx1 12 Avx;
    "cmpxchg16b" Ecx1 13 Any;
    "sse4.1" Ecx1 19 Any;
    "sse4.2" Ecx1 20 Any;
    "movbe" Ecx1 22 Any;
    "popcnt" Ecx1 23 Any;
    "aes" Ecx1 25 Any;
    "avx" Ecx1 28 Avx;
    "f16c" Ecx1 29 Avx;
    "rdrand" Ecx1 30 Any;
    "bmi1" Ebx7 3 Any;
    "avx2" Ebx7 5 Avx;
    "bmi2" Ebx7 8 Any;
    "avx512f" Ebx7 16 Avx512;
    "avx512dq" Ebx7 17 Avx512;
    "rdseed" Ebx7 18 Any;
    "adx" Ebx7 19 Any;
    "avx512ifma" Ebx7 21 Avx512;
    "avx512cd" Ebx7 28 Avx512;
    "sha" Ebx7 29 Any;
    "avx512bw" Ebx7 30 Avx512;
    "avx512vl" Ebx7 31 Avx512;
    "avx512vbmi" Ecx7 1 Avx512;
    "avx512vbmi2" Ecx7 6 Avx512;
    "gfni" Ecx7 8 Avx;
    "vaes" Ecx7 9 Avx;
    "vpclmulqdq" Ecx7 10 Avx;
    "avx512vnni" Ecx7 11 Avx512;
    "avx512bitalg" Ecx7 12 Avx512;
    "avx512vpopcntdq" Ecx7 14 Avx512;
    "avx512bf16" Eax7Of1 5 Avx512;
    "lzcnt" EcxExtended 5 Any;
    "sse4a" EcxExtended 6 Any;
    "tbm" EcxExtended 21 Any;
}

#[cfg(all(any(target_arch = "x86", target_arch = "x86_64"), any(not(feature = "std"), test)))]
mod cpuid {
    #[cfg(target_arch = "x86")]
    use core::arch::x86::{__cpuid, __cpuid_count, _xgetbv};
    #[cfg(target_arch = "x86_64")]
    use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

    /// The registers of CPUID, by its argument.
    #[derive(Clone, Copy, Debug)]
    pub(super) enum Leaf {
        Edx1,
        Ecx1,
        Ebx7,
        Ecx7,
        Eax7Of1,
        EcxExtended,
    }

    /// The registers that the operating system has to save for a feature.
    #[derive(Clone, Copy, Debug)]
    pub(super) enum State {
        Any,
        Avx,
        Avx512,
    }

    #[allow(unused_unsafe, reason = "newer versions of Rust take CPUID for safe")]
    pub(super) fn has(leaf: Leaf, bit: u32, state: State) -> bool {
        const EXTENDED: u32 = 0x8000_0000;
        // SAFETY: every x86 that Rust compiles for has CPUID.
        let ask = |leaf, sub| unsafe { __cpuid_count(leaf, sub) };
        // SAFETY: as above.
        let last = |start| unsafe { __cpuid(start) }.eax;
        let is_there = |leaf: u32| last(leaf & EXTENDED) >= leaf;
        let register = match leaf {
            Leaf::Edx1 => ask(1, 0).edx,
            Leaf::Ecx1 => ask(1, 0).ecx,
            Leaf::Ebx7 if is_there(7) => ask(7, 0).ebx,
            Leaf::Ecx7 if is_there(7) => ask(7, 0).ecx,
            Leaf::Eax7Of1 if is_there(7) && ask(7, 0).eax >= 1 => ask(7, 1).eax,
            Leaf::EcxExtended if is_there(EXTENDED + 1) => ask(EXTENDED + 1, 0).ecx,
            _ => return false,
        };
        register & (1 << bit) != 0 && is_saved(state)
    }

    fn is_saved(state: State) -> bool {
        const XMM_AND_YMM: u64 = 0b110;
        const ZMM: u64 = 0b1110_0000;
        const OSXSAVE: u32 = 1 << 27;
        let needed = match state {
            State::Any => return true,
            State::Avx => XMM_AND_YMM,
            State::Avx512 => XMM_AND_YMM | ZMM,
        };
        #[allow(unused_unsafe, reason = "as above")]
        // SAFETY: as above.
        let has_xgetbv = unsafe { __cpuid(1) }.ecx & OSXSAVE != 0;
        // SAFETY: the operating system has allowed the instruction.
        has_xgetbv && unsafe { _xgetbv(0) } & needed == needed
    }
}

#[cfg(target_arch = "aarch64")]
features! {
    std::arch::is_aarch64_feature_detected;
    "neon" "aes" "sha2" "sha3" "sm4" "crc" "lse" "rdm" "rcpc" "rcpc2" "fp16" "fhm" "dotprod"
    "i8mm" "bf16" "fcma" "jsconv" "frintts" "flagm" "dpb" "dpb2" "dit" "sb" "ssbs" "rand" "sve"
    "sve2" "sve2-aes" "sve2-bitperm" "sve2-sha3" "sve2-sm4" "f32mm" "f64mm"
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
const FEATURES: &[Feature] = &[];

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", all(target_arch = "aarch64", feature = "std"))))]
fn is_detected(_name: &str) -> bool {
    false
}

#[cfg(all(test, any(target_arch = "x86", target_arch = "x86_64")))]
mod tests {
    use super::*;

    #[test]
    fn the_processor_says_what_the_standard_library_says() {
        for &(name, _) in FEATURES {
            assert_eq!(is_detected_by_cpuid(name), is_detected(name), "{name}");
        }
        assert!(!is_detected("sse5") && !is_detected_by_cpuid("sse5"));
    }

    #[test]
    fn a_list_is_there_if_each_of_its_features_is() {
        assert!(are_known("avx2") && are_known("avx512vl,vpclmulqdq"));
        for list in ["", "avx2,", ",avx2", "avx", "avx22"].iter().filter(|&&list| list != "avx") {
            assert!(!are_known(list), "{list}");
        }
        assert!(are_detected("") && !are_detected("sse5") && !are_detected("sse,sse5"));
        assert!(!is_first_enabled(&[]));
        assert!(!is_first_enabled(&["sse5"]) && !is_first_enabled(&["sse,sse5", "sse"]));
        #[cfg(target_arch = "x86_64")]
        assert!(is_first_enabled(&["sse,sse2", "sse5"]));
    }
}
