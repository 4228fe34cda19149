//! A shared object with its own key and its own copy of the runtime.

static_call::define! {
    static STEP: fn(u32) -> u32 = one_more;
}

fn one_more(value: u32) -> u32 {
    value + 1
}

fn twice(value: u32) -> u32 {
    2 * value
}

/// Calls, updates and calls again. Returns the second result, whether the update was made, and whether calls
/// are direct.
#[unsafe(no_mangle)]
pub extern "C" fn plugin_run(value: u32) -> u32 {
    let before = STEP.call(value);
    let updated = u32::from(STEP.update(twice).is_ok());
    let after = STEP.call(value);
    let inline = u32::from(static_call::mode() == static_call::Mode::Inline);
    let put_back = STEP.update(one_more).is_ok();
    assert!(put_back && before == value + 1 && after == 2 * value, "{before} {after}");
    after * 100 + updated * 10 + inline
}
