//! What is known of a static branch and its key, and why code stays as it is.

use static_call::inspect::Instruction;

/// A key that branches ask about.
#[derive(Clone, Debug)]
pub struct BranchKey {
    /// Its address. None: another file defines the key.
    pub address: Option<u64>,
    /// The path of its declaration.
    pub name: String,
    /// Its symbol, if it has one.
    pub symbol: Option<String>,
    /// Whether it is on to begin with. None: not known from this file.
    pub is_on: Option<bool>,
    /// Whether it is a key that calls functions: its branches are lazy calls.
    pub is_hook: bool,
    /// Whether it is in the section for keys.
    pub is_in_section: bool,
}

/// A recorded branch.
#[derive(Clone, Copy, Debug)]
pub struct Branch {
    /// The instruction's address.
    pub address: u64,
    /// The code that looks at the key, to which the instruction jumps in the file. None: it could not be
    /// decoded.
    pub check: Option<u64>,
    /// Whether it was written as likely, and jumps while its key is off.
    pub is_likely: bool,
    /// Its key, as an index into [`Branches::keys`].
    pub key: usize,
    /// Why the runtime will leave it looking at its key. None: it becomes a no-op or a jump.
    pub stays: Option<Stays>,
    /// What the runtime writes while the key is what it is to begin with. None: not known, or it stays.
    pub after: Option<Instruction>,
}

/// The static branches of a file.
#[derive(Clone, Debug, Default)]
pub struct Branches {
    /// The keys.
    pub keys: Vec<BranchKey>,
    /// The addresses of the records, and their keys as indices into `keys`.
    pub records: Vec<(u64, usize)>,
    /// The recorded branches, by address.
    pub branches: Vec<Branch>,
    /// The total size of the table's entries without its anchor.
    pub bytes: u64,
}

/// Why a call stays on its trampoline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stays {
    /// The linker put a veneer between the call and its trampoline.
    Veneer,
    /// Its instruction is misaligned and crosses two words.
    AcrossWords,
    /// The key's initial target is too far away, or in another instruction set.
    OutOfReach,
    /// The code is executable but not readable, so the runtime cannot check it.
    Unreadable,
}

impl Stays {
    /// Completes a sentence that starts with "the call".
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Veneer => "reaches its trampoline through a linker's veneer",
            Self::AcrossWords => "crosses two words of code, which cannot be replaced atomically",
            Self::OutOfReach => "cannot reach its key's initial target",
            Self::Unreadable => "is in code that is not readable, or its trampoline is",
        }
    }
}
