//! The core over fabricated images: registration, updates, unloading and the seal, with a writer that fails
//! where a test wants it to.
//!
//! No code of these images ever runs. Without the operating system they are ordinary memory, so Miri can run
//! all of this, in ten minutes. Addresses in code and tables are numbers, hence permissive provenance:
//!
//! ```text
//! MIRIFLAGS=-Zmiri-permissive-provenance \
//!     cargo +nightly miri test -p static-call --no-default-features --lib core_tests::
//! ```

mod branches;
mod fabricated;
mod faults;
mod load;
mod pointer;
mod recover;
mod registry;
mod seal;
mod update;
mod world;
#[cfg(all(feature = "os", target_os = "linux"))]
mod writers;
