//! Decides whether calls without the pass go through trampolines.
//!
//! Besides, cargo asks for a build script where a package has a `links` key, by which it refuses two
//! versions of this crate in one program. Both would define the functions that the pass calls. By the same
//! key, the build scripts of dependants find the C headers: `DEP_STATIC_CALL_INCLUDE` is their directory.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!("cargo::rustc-check-cfg=cfg(static_call_trampolines)");
    println!("cargo::rustc-check-cfg=cfg(static_call_retpolines)");
    println!("cargo::rustc-check-cfg=cfg(static_call_branches)");
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    println!("cargo::metadata=include={}", package.join("include").display());
    let options = Options::parse(&env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default());
    // Miri runs no assembler.
    let is_miri = env::var_os("CARGO_CFG_MIRI").is_some();
    let target = env::var("TARGET").unwrap_or_default();
    let has_assembler = has_assembler(&target) && !is_miri;
    // LoongArch's Linux refuses to patch code, and a load costs less than a branch that nobody patches.
    if has_assembler && !target.starts_with("loongarch") && options.suit_branches() {
        println!("cargo::rustc-cfg=static_call_branches");
    }
    // On POWER nothing restores R2 behind a call of a function in the same image, and a trampoline may lead
    // to another image, which changes it.
    if has_assembler && !target.starts_with("powerpc") && options.suit_trampolines() {
        println!("cargo::rustc-cfg=static_call_trampolines");
        if options.want_retpolines() {
            println!("cargo::rustc-cfg=static_call_retpolines");
        }
    }
}

/// The options `-C` and `-Z` of rustc, each a name and a value.
struct Options(Vec<(String, String)>);

impl Options {
    /// `flags` is what cargo passes to build scripts.
    fn parse(flags: &str) -> Self {
        let mut options = Vec::new();
        let mut words = flags.split('\u{1f}');
        while let Some(word) = words.next() {
            let joined = ["-C", "-Z", "--codegen="].iter().find_map(|start| word.strip_prefix(start));
            let option = match joined {
                _ if word == "--codegen" => words.next(),
                Some("") => words.next(),
                option => option,
            };
            if let Some(option) = option {
                let (name, value) = option.split_once('=').unwrap_or((option, ""));
                // rustc takes both spellings.
                options.push((name.replace('_', "-"), value.to_owned()));
            }
        }
        Self(options)
    }

    /// The value of the last option of this name, which is the one that counts.
    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    /// Whether this option has no value, or one that does not mean no.
    fn is_on(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| !["n", "no", "off", "false", "none"].contains(&value))
    }

    /// The target features that are named, each with its sign.
    fn features(&self) -> impl Iterator<Item = &str> {
        let lists = self.0.iter().filter(|(name, _)| name == "target-feature");
        lists.flat_map(|(_, features)| features.split(','))
    }

    /// Whether loads and branches are hardened as the assembler of trampolines and branches is not.
    fn is_hardened(&self) -> bool {
        let options =
            ["speculative-load-hardening", "-x86-seses", "-x86-lvi", "-x86-indirect-branch-tracking"];
        let arguments = self.0.iter().filter(|(name, _)| name == "llvm-args");
        let mut words = arguments.flat_map(|(_, arguments)| arguments.split_whitespace());
        words.any(|word| !word.ends_with("=false") && options.iter().any(|option| word.contains(option)))
            || self.features().any(|feature| ["+seses", "+lvi-load-hardening"].contains(&feature))
    }

    /// Whether a call through a trampoline is right, and reaches it.
    fn suit_trampolines(&self) -> bool {
        // A trampoline has no type that an indirect call could check.
        let checks_types = self.0.iter().any(|(name, value)| {
            name == "sanitizer" && value.split(',').any(|sanitizer| ["cfi", "kcfi"].contains(&sanitizer))
        });
        // It has none.
        let wants_landing_pads = self.is_on("branch-protection") || self.is_on("cf-protection");
        let lies_anywhere =
            self.value("code-model").is_some_and(|model| ["medium", "large"].contains(&model));
        // i686's trampolines need the register of the first argument.
        let has_register_arguments = self.is_on("regparm");
        // Arm's are A32 code.
        let is_thumb = self.features().any(|feature| feature == "+thumb-mode");
        // Others may not know naked functions with operands.
        let is_llvm = self.value("codegen-backend").is_none_or(|backend| backend == "llvm");
        let is_other = has_register_arguments || is_thumb || self.is_hardened();
        !(checks_types || wants_landing_pads || lies_anywhere || is_other) && is_llvm
    }

    /// Whether the assembler of a static branch is right, and reaches its key.
    fn suit_branches(&self) -> bool {
        let lies_anywhere =
            self.value("code-model").is_some_and(|model| ["medium", "large"].contains(&model));
        let is_llvm = self.value("codegen-backend").is_none_or(|backend| backend == "llvm");
        // Arm's are A32 code.
        let is_thumb = self.features().any(|feature| feature == "+thumb-mode");
        !lies_anywhere && !self.is_hardened() && !is_thumb && is_llvm
    }

    /// Whether indirect jumps are retpolines, or guarded in a similar way.
    fn want_retpolines(&self) -> bool {
        self.is_on("retpoline")
            || self.is_on("retpoline-external-thunk")
            || self.features().any(|feature| feature.starts_with("+retpoline") || feature == "+lvi-cfi")
    }
}

/// The targets with a backend in the runtime, whose trampolines and branches stand in `static-call-abi`.
///
/// Bare metal has none: a linker script that does not know the sections of keys and records may leave them
/// out of what it loads.
fn has_assembler(target: &str) -> bool {
    let parts: Vec<&str> = target.split('-').collect();
    let [architecture, _, system, ..] = parts[..] else { return false };
    let environment = parts.get(3).copied().unwrap_or_default();
    let has_text = match architecture {
        "x86_64" | "aarch64" | "loongarch64" | "powerpc64le" | "s390x" | "i586" | "i686" => true,
        // The versions with barriers, and not Thumb code ("thumbv7").
        _ => ["armv7", "riscv64"].iter().any(|start| architecture.starts_with(start)),
    };
    let has_other_pointers = environment.ends_with("x32") || environment.ends_with("ilp32");
    has_text && system == "linux" && !has_other_pointers
}
