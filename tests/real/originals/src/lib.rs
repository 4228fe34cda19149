//! The crates as crates.io has them.

pub use {bytecount, crc32fast, log, memchr, simdutf8};
