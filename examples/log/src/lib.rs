//! The level checks of the crate [`log`] as static branches: a message whose level is off is one no-op, and
//! none of its arguments is evaluated.
//!
//! Take the macros from here instead of from `log`. Everything else stays: loggers, records, targets, and the
//! features that remove levels when a program is compiled. Code that uses `log`'s own macros, such as other
//! crates, works beside it, and loads the level as before.
//!
//! ```
//! use static_log::{debug, info, set_max_level};
//!
//! fn sum(numbers: &[u32]) -> u32 {
//!     let sum = numbers.iter().sum();
//!     // A block with a copy: a variable that is lent to a message lies in memory, and not in a register,
//!     // even while the message is off.
//!     debug!("{} numbers, sum {}", numbers.len(), { sum });
//!     sum
//! }
//!
//! set_max_level(log::LevelFilter::Info)?;
//! assert_eq!(sum(&[1, 2, 3]), 6);
//! set_max_level(log::LevelFilter::Trace)?; // the next message, on any thread, is logged
//! info!(target: "totals", "{}", sum(&[1, 2, 3]));
//! # Ok::<(), static_call::Error>(())
//! ```

use std::sync::{Mutex, PoisonError};

use log::{Level, LevelFilter};
use static_call::{Batch, Error, static_branch_unlikely};

/// One key for each level.
pub mod levels {
    static_call::define! {
        /// Whether errors are logged.
        pub static ERROR: bool = false;
        /// Whether warnings are logged.
        pub static WARN: bool = false;
        /// Whether information is logged.
        pub static INFO: bool = false;
        /// Whether what helps to find faults is logged.
        pub static DEBUG: bool = false;
        /// Whether everything is logged.
        pub static TRACE: bool = false;
    }
}

/// Sets what is logged: in place of [`log::set_max_level`], which these branches do not follow.
///
/// All levels change in one transaction. When this has returned, each message that starts, on any thread,
/// follows it. `log`'s own level changes with them, so that other crates' messages do.
///
/// It costs some microseconds, and interrupts each thread that runs. Signal handlers must not call it.
///
/// # Errors
///
/// If the update is refused: the code may not be written (a seccomp filter, a seal), something else has
/// patched it, or somebody holds a level on by `levels::WARN.inc()` (several times). Then **nothing has
/// changed**: all messages, [`log::max_level`] and [`max_level`] are as before. A program that wants fewer
/// messages may go on, since it logs too much and nothing wrong. One that needs more of them should say that
/// there will be none, and may ask again: a refusal is not forever, except for [`static_call::seal`]'s.
/// What never fails is a process whose code cannot be patched at all ([`static_call::mode`]): its branches
/// look at their keys.
pub fn set_max_level(max: LevelFilter) -> Result<(), Error> {
    /// Two threads would leave the branches of one and the level of the other.
    static ORDER: Mutex<()> = Mutex::new(());
    let _order = ORDER.lock().unwrap_or_else(PoisonError::into_inner);
    Batch::new([
        levels::ERROR.change(Level::Error <= max),
        levels::WARN.change(Level::Warn <= max),
        levels::INFO.change(Level::Info <= max),
        levels::DEBUG.change(Level::Debug <= max),
        levels::TRACE.change(Level::Trace <= max),
    ])
    .commit()?;
    log::set_max_level(max);
    Ok(())
}

/// The most detailed level whose branches are on.
#[must_use]
pub fn max_level() -> LevelFilter {
    Level::iter()
        .filter(|&level| is_on(level))
        .max()
        .map_or(LevelFilter::Off, |level| level.to_level_filter())
}

/// Whether messages of this level are on. If the compiler knows which it is, this is one branch.
#[inline(always)]
#[must_use]
pub fn is_on(level: Level) -> bool {
    match level {
        Level::Error => static_branch_unlikely!(levels::ERROR),
        Level::Warn => static_branch_unlikely!(levels::WARN),
        Level::Info => static_branch_unlikely!(levels::INFO),
        Level::Debug => static_branch_unlikely!(levels::DEBUG),
        Level::Trace => static_branch_unlikely!(levels::TRACE),
    }
}

/// Logs an error, as [`log::error!`] does.
#[macro_export]
macro_rules! error {
    ($($message:tt)+) => { $crate::__message! { ERROR error $($message)+ } };
}

/// Logs a warning, as [`log::warn!`] does.
#[macro_export]
macro_rules! warn {
    ($($message:tt)+) => { $crate::__message! { WARN warn $($message)+ } };
}

/// Logs information, as [`log::info!`] does.
#[macro_export]
macro_rules! info {
    ($($message:tt)+) => { $crate::__message! { INFO info $($message)+ } };
}

/// Logs what helps to find faults, as [`log::debug!`] does.
#[macro_export]
macro_rules! debug {
    ($($message:tt)+) => { $crate::__message! { DEBUG debug $($message)+ } };
}

/// Logs details, as [`log::trace!`] does.
#[macro_export]
macro_rules! trace {
    ($($message:tt)+) => { $crate::__message! { TRACE trace $($message)+ } };
}

#[doc(hidden)]
pub use {log as __log, static_call as __static_call};

#[doc(hidden)]
#[macro_export]
macro_rules! __message {
    ($key:ident $level:ident $($message:tt)+) => {
        if $crate::__static_call::static_branch_unlikely!($crate::levels::$key) {
            $crate::__log::$level!($($message)+)
        }
    };
}
