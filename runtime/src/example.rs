//! A key as [`define!`](crate::define) makes it, so that its methods have a page to look at.
//!
//! This module exists only in the documentation.

crate::define! {
    /// Checksum of a frame, defined by
    ///
    /// ```
    /// static_call::define! {
    ///     pub static CHECKSUM: fn(data: &[u8]) -> u32 = plain;
    /// }
    ///
    /// fn plain(data: &[u8]) -> u32 {
    ///     data.iter().map(|&byte| u32::from(byte)).sum()
    /// }
    ///
    /// assert_eq!(CHECKSUM.call(&[1, 2]), 3);
    /// ```
    pub static CHECKSUM: fn(data: &[u8]) -> u32 = plain;

    /// A hook that is a `nop` while it is off, defined by
    ///
    /// ```
    /// static_call::define! {
    ///     pub static ON_FRAME: Option<fn(bytes: usize)> = None;
    /// }
    ///
    /// ON_FRAME.call(1500);
    /// assert_eq!(ON_FRAME.target(), None);
    /// ```
    pub static ON_FRAME: Option<fn(bytes: usize)> = None;
}

fn plain(data: &[u8]) -> u32 {
    data.iter().map(|&byte| u32::from(byte)).sum()
}
