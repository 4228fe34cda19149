//! The plugin that rustc (`-Zllvm-plugins`) and clang (`-fpass-plugin`) load.
//!
//! It has two stages. The IR stage ([`lower`]) runs on LLVM IR, before any inlining. It turns calls through
//! `__static_call_target(&KEY)` into direct calls of the key's [`trampoline`] and makes the [`image`]
//! register itself. The machine stage (`cpp/machine_stage.cpp`) runs after code generation and records each
//! call and jump whose destination is a trampoline. [`target`] has whatever depends on the architecture.
//!
//! inkwell wraps what this crate creates. The user's IR is read through llvm-sys, because inkwell's
//! enumerations panic on types that they do not know, and the user's code may have any type.
//!
//! # Safety
//!
//! LLVM's objects are raw pointers that live as long as their module, which the compiler lends to
//! [`exports::static_call_lower_module`] for the duration of the call. No reference outlives it, and a module
//! is only ever used by one thread at a time.

mod call;
mod eligible;
mod entry;
mod enums;
mod exports;
mod format;
mod header;
mod host;
mod image;
mod key_address;
mod keys;
mod load;
mod lower;
mod machine;
mod module;
mod note;
mod record;
mod reserved;
mod shim;
mod target;
mod trampoline;
