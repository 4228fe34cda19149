//! An image's code, whatever the format of its file.

/// Access of a range of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) execute: bool,
    /// Indirect branches may only enter it at landing pads, where the processor knows that.
    pub(crate) guarded: bool,
}

/// An executable segment, in whole words: what it shares its first and its last one with lies on pages that
/// are mapped for the segment, as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// [`READ`] and so on, and the runtime's own.
    pub(crate) flags: u32,
}

impl Segment {
    pub(crate) fn contains(&self, address: usize) -> bool {
        (self.start..self.end).contains(&address)
    }
}

/// The flags of a segment: those of ELF's `p_flags`. They cross copies of the runtime, in an image's
/// descriptor.
pub(crate) const EXECUTE: u32 = 1;
/// See [`EXECUTE`].
pub(crate) const WRITE: u32 = 2;
/// See [`EXECUTE`].
pub(crate) const READ: u32 = 4;

/// The flags as an access.
pub(crate) fn access(flags: u32) -> Access {
    Access {
        read: flags & READ != 0,
        write: flags & WRITE != 0,
        execute: flags & EXECUTE != 0,
        guarded: flags & GUARDED != 0,
    }
}

/// Our own flag, among ELF's bits for processors (AArch64 uses none): indirect branches may enter the code
/// only at landing pads.
pub(crate) const GUARDED: u32 = 1 << 31;
/// Our own flag too: the image is sealed, and nothing can be written to it any more.
pub(crate) const SEALED: u32 = 1 << 30;
/// Our own number, in bits without a meaning: how many bytes one bit of the image's map of pages stands for,
/// as a power of two.
pub(crate) const UNIT: u32 = 0x3f << UNIT_AT;
const UNIT_AT: u32 = 8;

/// That power of two in the flags.
pub(crate) fn unit(flags: u32) -> u32 {
    (flags & UNIT) >> UNIT_AT
}

/// The flags with another one.
pub(crate) fn with_unit(flags: u32, unit: u32) -> u32 {
    flags & !UNIT | unit << UNIT_AT & UNIT
}
