//! The interface of all programs.

/// One form of a program with one input: how much work a run does, and its result.
pub(crate) struct Case<'input> {
    pub(crate) name: String,
    pub(crate) amount: usize,
    pub(crate) run: Box<dyn Fn() -> u64 + 'input>,
}
