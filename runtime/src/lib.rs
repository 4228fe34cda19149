//! Calls through a function pointer that changes rarely, as direct calls.
//!
//! A *key* names a function; a *call* of the key runs as a direct call instruction; an *update* makes all
//! calls, in all threads and all loaded images, reach another function.
//!
//! ```
//! static_call::define! {
//!     /// Checksum of one frame.
//!     pub static CHECKSUM: fn(data: &[u8]) -> u32 = scalar;
//!     /// Tracing hook: switched off it costs a nop.
//!     pub static ON_FRAME: Option<fn(&[u8])> = None;
//! }
//!
//! fn scalar(data: &[u8]) -> u32 {
//!     data.iter().fold(0, |sum, &byte| sum.rotate_left(5) ^ u32::from(byte))
//! }
//! fn wide(data: &[u8]) -> u32 {
//!     scalar(data) // imagine vector instructions
//! }
//! fn log(frame: &[u8]) {
//!     println!("{} bytes", frame.len());
//! }
//!
//! let sum = CHECKSUM.call(b"frame");      // calls scalar
//! CHECKSUM.update(wide)?;                 // from now on, every call calls wide
//! assert_eq!(CHECKSUM.call(b"frame"), sum);
//! ON_FRAME.call(b"frame");                // does nothing
//! ON_FRAME.update(Some(log))?;
//! ON_FRAME.call(b"frame");
//! # Ok::<(), static_call::Error>(())
//! ```
//!
//! Built with `cargo static-call` (or with the wrapper `static-call-rustc`), the calls are direct. Without
//! it, the same source calls a patched trampoline on Linux; elsewhere, and on POWER, it loads a function
//! pointer. [`mode`] says which it is.
#![cfg_attr(doc, doc = "The module [`example`] shows what a key looks like.")]
//!
//! # What an update promises
//!
//! - When it returns, every call that starts afterwards, on any thread, reaches the new target.
//! - While it runs, each call reaches the old or the new one.
//! - If it fails, nothing has changed, for no key of the transaction.
//! - Two updates of one key from two threads happen one after the other, for all of its calls.
//! - An instruction that is not what was last written there (a debugger's breakpoint, another patcher) is an
//!   error that gives its address, and is never overwritten.
//!
//! An update may run at any time on any thread, also inside a target of the key itself. It is
//! async-signal-safe. A thread blocks signals while it updates, or loads or unloads an image, so a handler
//! never waits for what it interrupted, only for updates of other threads. The signals of faults (SIGSEGV and
//! the like) are not blocked: an update in their handler, in the middle of another one, fails with
//! [`ErrorKind::Reentrant`].
//!
//! A child can update at once, however it was made. If another thread of its parent was in the middle of an
//! update, that update is finished or undone in the child: by fork(2) before it returns, and otherwise by the
//! child's first update.
//!
//! # Dispatch
//!
//! [`dispatch!`] defines a function with variants for processors that have some features:
//!
//! ```
//! static_call::dispatch! {
//!     fn sum(data: &[u8]) -> u64 {
//!         #[cfg(target_arch = "x86_64")]
//!         "avx2" => wide,
//!         _ => plain,
//!     }
//! }
//!
//! #[cfg(target_arch = "x86_64")]
//! #[target_feature(enable = "avx2")]
//! fn wide(data: &[u8]) -> u64 {
//!     plain(data) // imagine vector instructions
//! }
//! fn plain(data: &[u8]) -> u64 {
//!     data.iter().map(|&byte| u64::from(byte)).sum()
//! }
//!
//! assert_eq!(sum(&[1, 2, 3]), 6);
//! ```
//!
//! A key of [`define!`] whose first target chooses another one has to call its choice, and not the key: where
//! the update is refused (after [`seal`], without the right to write code, while a thread blocks SIGTRAP),
//! the key still calls the function that chooses, which would recurse for ever.
//!
//! # Cost
//!
//! A call costs what a direct call costs. An update opens the pages that hold the key's sites for writing,
//! replaces one word per site, and waits for the other processors once: some microseconds, and some
//! nanoseconds per site.
//!
//! # Names
//!
//! The module [`registry`] lists the process's keys by their names, and switches branches by patterns. The
//! variable `STATIC_CALL_ENABLE` does so at the start, and `STATIC_CALL_DISPATCH` chooses variants.
//!
//! # Features
//!
//! - `std` (default): conversions into `std::io::Error`; implies `os`.
//! - `os`: patching with the help of the operating system (Linux, through libc; Windows, through
//!   kernel32.dll), and the variables `STATIC_CALL_*`. Without it nothing is logged; [`mode_reason`] says
//!   what is missing, as do `cargo static-call doctor` and `inspect`.
//!
//! The crate itself is `no_std` and never allocates, except for a [`Batch`] of changes that come from an
//! iterator. Without `os` it patches through a [`CodeWriter`] that the program sets; until there is one,
//! every call goes through its key.

#![no_std]
// Where docs.rs builds it, items name the features that they need.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "std", test, fuzzing))]
extern crate std;

mod arch;
mod at_start;
mod branch_macros;
mod branch_site;
mod branches;
#[doc(hidden)]
pub mod c;
mod change;
mod code_word;
mod copies;
#[cfg(all(test, target_arch = "x86_64", target_pointer_width = "64", not(loom)))]
mod core_tests;
mod critical;
#[doc(hidden)]
pub mod dispatch;
mod dispatch_macros;
mod error;
#[cfg(doc)]
pub mod example;
mod features;
mod foreign_breakpoint;
mod format;
mod function_type;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod image;
mod info;
#[cfg(feature = "inspect")]
#[doc(hidden)]
pub mod inspect;
mod items;
mod journal;
mod key;
mod listing;
mod load;
mod lock;
mod log;
mod macros;
mod mode;
mod numbered;
mod object_macros;
mod operations;
mod os;
mod page;
mod patch;
mod pattern;
mod primary;
#[doc(hidden)]
pub mod private;
mod protect;
mod refusal;
pub mod registry;
mod resolve;
mod room;
mod seal;
mod sealed;
mod steps;
mod sync;
mod tables;
mod text;
mod update;
mod variable;
mod walk;
mod windows;
mod wire;
mod without_pass;
mod writer;

pub use error::{Error, ErrorKind};
pub use info::Info;
pub use key::{Batch, Change, Key, Pointer, ReturnZero, StaticBranch, StaticCall};
pub use mode::Mode;
pub use operations::set_writer;
pub use primary::{mode, mode_reason, process_info, seal, writer};
pub use writer::{CodeWriter, Writer};
