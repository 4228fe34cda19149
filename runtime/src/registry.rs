//! The keys of the process by their names: what they do now, and branches that a pattern switches.
//!
//! ```
//! use static_call::registry;
//! use static_call::static_branch_unlikely;
//!
//! mod net {
//!     static_call::define! {
//!         pub static TRACE: bool = false;
//!         pub static CHECK: bool = false;
//!     }
//! }
//!
//! fn receive(frame: &[u8]) -> bool {
//!     static_branch_unlikely!(net::TRACE) && static_branch_unlikely!(net::CHECK) && !frame.is_empty()
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! assert!(!receive(b"frame"));
//! registry::enable("*::net::*")?; // all of them, or none
//! assert!(receive(b"frame"));
//! for key in registry::matching("*::net::*") {
//!     println!("{}", key?); // its name, and what it does now
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Patterns
//!
//! `*` stands for any characters, also none and also `::`, and `?` for one. Every other character stands for
//! itself, and the pattern has to match the whole name. A Rust key's name is the path of its declaration
//! (`crate::module::KEY`), a C key's is the key's.
//!
//! # Which keys there are
//!
//! Those of all images that are registered or were refused, and those that registered images use. An image
//! that has keys but neither a recorded call nor a branch may not be known, nor are the keys that no pass has
//! seen and that no recorded code uses.
//!
//! # At the start
//!
//! `STATIC_CALL_ENABLE=pattern,…` has the keys of branches whose names match begin as if they had been
//! defined as `true`: those of each image when it is loaded.

use core::ffi::CStr;
use core::fmt;
use core::iter::FusedIterator;

use crate::change::Wish;
use crate::error::{Error, ErrorKind};
use crate::info::Info;
use crate::primary;
use crate::wire::{CEntry, KeyState};

/// All keys.
///
/// ```
/// # static_call::define! { static ADD: fn(u32, u32) -> u32 = u32::wrapping_add; }
/// # assert_eq!(ADD.call(1, 2), 3);
/// for key in static_call::registry::keys() {
///     println!("{}", key?);
/// }
/// # Ok::<(), static_call::Error>(())
/// ```
pub fn keys() -> Keys<'static> {
    matching("*")
}

/// The keys whose names match a pattern.
pub fn matching(pattern: &str) -> Keys<'_> {
    Keys { pattern, last: CEntry::EMPTY, is_over: false }
}

/// Switches on all branches whose names match, or none of them. Returns how many there are.
///
/// Each keeps its count if it is on already, as its own `enable` does. Keys of functions are left alone.
///
/// # Errors
///
/// As for an update, with the key that was in the way. Nothing has changed then.
pub fn enable(pattern: &str) -> Result<usize, Refused> {
    switch(pattern, Wish::On)
}

/// Switches off all branches whose names match, or none of them.
///
/// # Errors
///
/// As for [`enable`], and if more than one want one of them on.
pub fn disable(pattern: &str) -> Result<usize, Refused> {
    switch(pattern, Wish::Off)
}

/// Counts one more that wants each of these branches on.
///
/// Who switches branches on for a while uses this and [`dec`]: then whoever else wants one of them on keeps
/// it on.
///
/// # Errors
///
/// As for [`enable`], and if one of the counts is at its largest.
pub fn inc(pattern: &str) -> Result<usize, Refused> {
    switch(pattern, Wish::Inc)
}

/// Counts one less for each of these branches.
///
/// # Errors
///
/// As for [`enable`], and if nobody wants one of them on.
pub fn dec(pattern: &str) -> Result<usize, Refused> {
    switch(pattern, Wish::Dec)
}

fn switch(pattern: &str, wish: Wish) -> Result<usize, Refused> {
    let mut failed = CEntry::EMPTY;
    primary::switch(pattern, wish, &mut failed).map_err(|error| Refused::new(error, &failed))
}

/// The keys of the process, one after the other, by address.
///
/// Each is looked for when it is asked for, so the program may do anything in between: also load and unload
/// images, and switch keys. A key that is there all the time comes once. Each step takes about as long as the
/// key's own calls and branches take to count; after the seal it looks at all keys that images use. The first
/// error ends it.
///
/// # Errors
///
/// [`ErrorKind::Reentrant`] in the handler of a fault that interrupted an update on its own thread.
#[derive(Clone, Debug)]
#[must_use = "an iterator does nothing until it is asked"]
pub struct Keys<'pattern> {
    pattern: &'pattern str,
    last: CEntry,
    is_over: bool,
}

impl Iterator for Keys<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let found = primary::next_key(self.pattern, &mut self.last);
        self.is_over = !matches!(found, Ok(true));
        match found {
            Ok(true) => Some(Ok(Entry(self.last))),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl FusedIterator for Keys<'_> {}

/// What a key was when it was asked about.
#[derive(Clone, Copy, Debug)]
pub struct Entry(pub(crate) CEntry);

impl Entry {
    /// The key's name: the path of its declaration. It ends after 255 bytes.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = CStr::from_bytes_until_nul(&self.0.name).unwrap_or_default();
        name.to_str().unwrap_or_default()
    }

    /// The variant that it calls, if it is a function of [`dispatch!`](crate::dispatch): its path, as the
    /// program writes it.
    ///
    /// ```
    /// # static_call::dispatch! { fn double(number: u32) -> u32 { _ => plain } }
    /// # fn plain(number: u32) -> u32 { 2 * number }
    /// # assert_eq!(double(1), 2);
    /// for key in static_call::registry::matching("*::crc32c") {
    ///     let key = key?;
    ///     println!("{:?}, one of {:?}", key.variant(), key.variants().collect::<Vec<_>>());
    /// }
    /// # Ok::<(), static_call::Error>(())
    /// ```
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        self.texts().nth(1).filter(|name| !name.is_empty())
    }

    /// All its variants, the best first, if it is a function of [`dispatch!`](crate::dispatch). The names
    /// have 255 bytes together, the key's included; those that do not fit are left out.
    pub fn variants(&self) -> impl Iterator<Item = &str> {
        self.texts().skip(2).take_while(|name| !name.is_empty())
    }

    /// The texts between NULs.
    fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.name.split(|&byte| byte == 0).map(|text| str::from_utf8(text).unwrap_or_default())
    }

    /// What it does.
    #[must_use]
    pub const fn state(&self) -> State {
        let CEntry { target, count, state, .. } = self.0;
        match KeyState::from_wire(state) {
            Some(KeyState::Branch) => State::Branch { count },
            Some(KeyState::Off) => State::Off,
            Some(KeyState::ReturnsZero) => State::ReturnsZero,
            Some(KeyState::Calls) | None => State::Calls { target },
        }
    }

    /// How many calls and branches it has, as [`StaticCall::info`](crate::StaticCall::info) counts them.
    #[must_use]
    pub fn info(&self) -> Info {
        self.0.info.into()
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.state())?;
        self.variant().map_or(Ok(()), |variant| write!(f, ", {variant}"))
    }
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// The key of branches.
    Branch {
        /// How many want it on; it is on if this is not zero.
        count: usize,
    },
    /// Calls reach a function.
    Calls {
        /// Its address.
        target: usize,
    },
    /// Calls do nothing: the key is an `Option` without a function.
    Off,
    /// Calls return zero.
    ReturnsZero,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch { count: 0 } | Self::Off => f.write_str("off"),
            Self::Branch { count: 1 } => f.write_str("on"),
            Self::Branch { count } => write!(f, "on, {count} times"),
            Self::Calls { target } => write!(f, "calls {target:#x}"),
            Self::ReturnsZero => f.write_str("returns zero"),
        }
    }
}

/// Why branches were not switched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    error: Error,
    len: u8,
    /// The end of the key's name, which says more than its start.
    name: [u8; Self::LEN],
}

impl Refused {
    const LEN: usize = 87;

    fn new(error: Error, failed: &CEntry) -> Self {
        let name = Entry(*failed);
        let name = name.name();
        let mut starts = name.len().saturating_sub(Self::LEN)..=name.len();
        let start = starts.find(|&start| name.is_char_boundary(start)).unwrap_or(name.len());
        let end = &name.as_bytes()[start..];
        let mut kept = [0; Self::LEN];
        kept[..end.len()].copy_from_slice(end);
        Self { error, len: end.len() as u8, name: kept }
    }

    /// The reason.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// The error of the update.
    #[must_use]
    pub const fn error(&self) -> Error {
        self.error
    }

    /// The name of the key that was in the way, or the end of a long one; nothing if it was no key.
    #[must_use]
    pub fn name(&self) -> &str {
        str::from_utf8(&self.name[..self.len.into()]).unwrap_or_default()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "" => write!(f, "{}", self.error),
            name => write!(f, "{name}: {}", self.error),
        }
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind())
    }
}

impl core::error::Error for Refused {}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}
