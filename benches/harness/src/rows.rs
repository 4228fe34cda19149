//! The names of table rows that goals refer to.

pub(crate) const WITHOUT_PASS: &str = "static call, without the pass";
pub(crate) const POINTER_WITHOUT_PASS: &str = "pointer, without the pass, retpolines";
