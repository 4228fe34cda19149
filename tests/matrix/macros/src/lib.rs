//! A macro whose output makes a static call, and one that makes static calls itself, inside the compiler.

use std::sync::atomic::Ordering::Relaxed;

use proc_macro::TokenStream;
use static_call::StaticCall;

static_call::define! {
    static KEY: fn(value: u64) -> u64 = plain;
}

fn plain(value: u64) -> u64 {
    value + 1
}

fn direct(value: u64) -> u64 {
    value + 2
}

fn loaded(value: u64) -> u64 {
    value + 3
}

/// `call!(value)` makes a static call.
#[proc_macro]
pub fn call(value: TokenStream) -> TokenStream {
    format!("::keys::KEY.call(7, {value})").parse().expect("Rust")
}

/// How this crate's own call is made inside the compiler, as a string.
#[proc_macro]
pub fn own_call(_: TokenStream) -> TokenStream {
    let before = make_call(0);
    KEY.update(direct).expect("an update");
    // SAFETY: functions of the key's type, and the right one comes back before the next update.
    let key = unsafe { KEY.key() };
    key.target.store(loaded as *mut (), Relaxed);
    let result = make_call(0);
    key.target.store(direct as *mut (), Relaxed);
    let (info, mode) = (KEY.info(), static_call::mode());
    let how = match (before, result) {
        (1, 2) => "reached",
        (1, 3) => "loaded",
        _ => "wrong",
    };
    format!("\"{mode} sites {} direct {} {how}\"", info.sites, info.direct).parse().expect("Rust")
}

#[inline(never)]
fn make_call(value: u64) -> u64 {
    KEY.call(value)
}
