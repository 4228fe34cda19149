//! Names of the tables' rows that goals are about.

pub(crate) const WITHOUT_PASS: &str = "static call, without the pass";
pub(crate) const POINTER_WITHOUT_PASS: &str = "pointer, without the pass, retpolines";
