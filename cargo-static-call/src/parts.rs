//! What a linked file consists of, in every object format.

use std::ops::Range;

/// A part of the file that is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'data> {
    /// Its address before the file is loaded.
    pub address: u64,
    /// Its offset in the file.
    pub offset: u64,
    /// Its content, as far as the file has it.
    pub data: &'data [u8],
    /// Whether it is code.
    pub is_executable: bool,
    /// Whether the program may write it.
    pub is_writable: bool,
    /// Whether the program may read it.
    pub is_readable: bool,
}

impl Segment<'_> {
    /// The addresses of its content in the file.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.address..self.address + self.data.len() as u64
    }
}

/// A section.
#[derive(Clone, Copy, Debug)]
pub struct Section<'data> {
    /// Its name.
    pub name: &'data [u8],
    /// Its address.
    pub address: u64,
    /// Its size in memory.
    pub size: u64,
    /// Its content, as far as the file has it.
    pub data: &'data [u8],
}

/// A function or variable.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'data> {
    /// Its address.
    pub address: u64,
    /// Its size in bytes, or zero if unknown.
    pub size: u64,
    /// Its mangled name.
    pub name: &'data [u8],
}
