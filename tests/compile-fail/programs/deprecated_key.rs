#![deny(deprecated, unused_must_use)]

static_call::define! {
    /// Using the key warns; the macro's own code does not.
    #[deprecated(note = "use ANSWER")]
    pub static OLD_ANSWER: fn() -> u32 = answer;
    #[must_use = "it is the answer"]
    pub static ANSWER: fn() -> u32 = answer;
    #[cfg_attr(all(), deprecated, cfg(all()))]
    static OLD_HOOK: Option<fn()> = None;
}

fn answer() -> u32 {
    42
}

fn main() {
    let _ = OLD_ANSWER.call();
    ANSWER.call();
    static_call::static_call!(OLD_HOOK);
}
