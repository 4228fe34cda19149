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
//! Built with `RUSTC_WRAPPER=static-call-rustc`, the calls are direct; without it, or on an architecture
//! without a backend, the same source loads a function pointer. [`mode`] says which it is.
//!
//! # What an update promises
//!
//! - When it returns, every call that starts afterwards, on any thread, reaches the new target.
//! - While it runs, each call reaches the old or the new one.
//! - If it fails, nothing has changed, for no key of the transaction.
//!
//! Two updates of one key from two threads happen one after the other, for all of its calls. An instruction
//! that is not what was last written there (a debugger's breakpoint, another patcher) is an error that names
//! its address, and is never overwritten.
//!
//! It may run at any time on any thread, also inside a target of the key itself: that is how a default
//! looks at the processor once and then replaces itself.
//!
//! # Cost
//!
//! A call costs what a direct call costs. An update opens the pages that hold the key's sites for writing,
//! replaces one word a site, and waits for the other processors once: some microseconds, and some
//! nanoseconds for each site.
//!
//! # Features
//!
//! - `std` (default): conversions into `std::io::Error`; implies `os`.
//! - `os`: patching with the help of the operating system (Linux), through libc.
//!
//! The crate itself is `no_std` and never allocates. Without `os` it patches through a [`CodeWriter`] that the
//! program brings; until there is one, every call goes through its key.

#![no_std]

#[cfg(any(feature = "std", all(loom, test), fuzzing))]
extern crate std;

mod arch;
#[doc(hidden)]
pub mod c;
mod elf;
mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod image;
mod info;
#[cfg(feature = "inspect")]
#[doc(hidden)]
pub mod inspect;
mod key;
mod lock;
mod log;
mod macros;
mod mode;
mod os;
#[doc(hidden)]
pub mod private;
mod process;
mod seal;
mod sync;
mod text;
mod update;
mod writer;

pub use error::{Error, ErrorKind};
pub use info::Info;
pub use key::{Batch, Change, ReturnZero, StaticCall};
pub use mode::Mode;
pub use process::{mode, mode_reason, process_info, seal, writer};
pub use writer::{CodeWriter, Writer, set_writer};
