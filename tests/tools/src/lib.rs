//! A key, and a call of it.
//!
//! ```
//! assert_eq!(tools::here(4), 5);
//! tools::KEY.update(tools::twice)?;
//! assert_eq!(tools::here(4), 9);
//! // Only the library's call is direct: rustdoc compiles this example without the pass.
//! assert_eq!(tools::KEY.call(1), 2);
//! assert_eq!(static_call::process_info().direct, 1);
//! # Ok::<(), static_call::Error>(())
//! ```

static_call::define! {
    /// The key that `here` calls.
    pub static KEY: fn(value: u64) -> u64 = once;
}

/// The value.
#[must_use]
pub fn once(value: u64) -> u64 {
    value
}

/// Twice the value.
#[must_use]
pub fn twice(value: u64) -> u64 {
    num_traits::ops::wrapping::WrappingAdd::wrapping_add(&value, &value)
}

/// Calls the key.
#[must_use]
#[inline(never)]
pub fn here(value: u64) -> u64 {
    KEY.call(value) + 1
}

#[cfg(feature = "clumsy")]
#[must_use]
pub fn clumsy(value: bool) -> bool {
    value == true
}

unsafe extern "C" {
    /// A number from C.
    pub safe fn answer() -> libc::c_int;
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_call_is_direct() -> anyhow::Result<()> {
        assert_eq!(super::here(4), 5);
        super::KEY.update(super::twice)?;
        assert_eq!(super::here(4), 9);
        let info = static_call::process_info();
        assert_eq!((info.direct, info.sites), (1, 1));
        assert_eq!(super::answer(), 42);
        Ok(())
    }

    #[test]
    fn the_compiler_is_what_it_is_without_the_wrapper() {
        assert!(cfg!(has_u128) && cfg!(has_stable_syntax));
        assert_eq!(cfg!(has_unstable_feature), rustversion::cfg!(nightly));
    }
}
