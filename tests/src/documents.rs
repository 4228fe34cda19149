//! The Rust examples of the documents, as doctests.

#[doc = include_str!("../../README.md")]
mod readme {}
#[doc = include_str!("../../docs/branches.md")]
mod branches {}
#[doc = include_str!("../../docs/dispatch.md")]
mod dispatch {}
#[doc = include_str!("../../docs/guide.md")]
mod guide {}
#[doc = include_str!("../../docs/hardening.md")]
mod hardening {}
#[doc = include_str!("../../docs/hooks.md")]
mod hooks {}
#[doc = include_str!("../../docs/many-keys.md")]
mod many_keys {}
#[doc = include_str!("../../docs/migrating.md")]
mod migrating {}
#[doc = include_str!("../../runtime/README.md")]
mod runtime {}
#[doc = include_str!("../../docs/updates.md")]
mod updates {}
