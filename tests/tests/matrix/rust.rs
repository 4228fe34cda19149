use libtest_mimic::Trial;
pub(crate) fn cells() -> Vec<Trial> {
    Vec::new()
}
