//! Keys that another crate calls, and calls that another crate instantiates.
#![forbid(unsafe_code)]
#![deny(missing_docs, warnings)]

static_call::define! {
    /// A key of this crate that both crates call.
    pub static SCALE: fn(value: u64) -> u64 = once;
    /// Called from generic code only.
    pub static OBSERVE: Option<fn(name: &str, size: usize)> = None;
    /// A branch that other crates use.
    pub static TRACED: bool = false;
}

/// Inlined: the branch is compiled elsewhere.
#[inline]
pub fn is_traced() -> bool {
    static_call::static_branch_unlikely!(TRACED)
}

/// Generic: the branch is compiled where it is instantiated.
pub fn is_traced_for<T>(value: T) -> Option<T> {
    if static_call::static_branch_unlikely!(TRACED) { Some(value) } else { None }
}

/// Returns its argument.
pub fn once(value: u64) -> u64 {
    value
}

/// Twice its argument.
pub fn twice(value: u64) -> u64 {
    2 * value
}

/// Not generic and not inlined: the call is compiled here.
#[inline(never)]
pub fn here(value: u64) -> u64 {
    SCALE.call(value) + 1
}

/// Inlined: the call is compiled elsewhere as well.
#[inline]
pub fn inlined(value: u64) -> u64 {
    SCALE.call(value) + 2
}

/// Generic: the call is compiled where it is instantiated.
pub fn generic<T: Into<u64>>(value: T) -> u64 {
    OBSERVE.call(std::any::type_name::<T>(), size_of::<T>());
    SCALE.call(value.into()) + 3
}

/// A call in a trait's default method.
pub trait Scaled {
    /// The argument.
    fn value(&self) -> u64;
    /// A static call.
    fn scaled(&self) -> u64 {
        static_call::static_call!(SCALE, self.value())
    }
}
