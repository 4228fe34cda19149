//! What all programs have in common.

/// A program on one input in one form: how much it does in one run, and what it finds.
pub(crate) struct Case<'input> {
    pub(crate) name: String,
    pub(crate) amount: usize,
    pub(crate) run: Box<dyn Fn() -> u64 + 'input>,
}
