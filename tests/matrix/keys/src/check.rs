//! Makes all calls and finds out which of them are direct: while the key holds another function's address,
//! only calls that load the key reach that function.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use static_call::StaticCall;

use crate::definitions::{KEY, KEY_OF_C, LAST, Target, plain};

/// A function of the source that makes one call.
#[derive(Clone, Copy)]
pub struct Site {
    /// Makes the call.
    pub run: fn(u64) -> u64,
    /// What it adds to the call's result.
    pub plus: u64,
}

const CALLS: usize = 64;
static DIRECT: [AtomicBool; CALLS] = [const { AtomicBool::new(false) }; CALLS];
static LOADED: [AtomicBool; CALLS] = [const { AtomicBool::new(false) }; CALLS];

extern "C" fn doubled(call: u32, value: u64) -> u64 {
    LAST.store(call, Relaxed);
    2 * value + u64::from(call)
}

/// Notes that this call has reached a target that only direct calls reach.
pub fn reached(call: u32, value: u64) -> u64 {
    DIRECT[call as usize].store(true, Relaxed);
    plain(call, value)
}

extern "C" fn direct(call: u32, value: u64) -> u64 {
    reached(call, value)
}

extern "C" fn loaded(call: u32, value: u64) -> u64 {
    LOADED[call as usize].store(true, Relaxed);
    plain(call, value)
}

/// Makes all calls, which must reach `target`.
fn run(sites: &[&[Site]], target: Target) {
    for (number, site) in sites.iter().copied().flatten().enumerate() {
        let value = 1000 * (number as u64 + 1);
        let result = (site.run)(value);
        let call = LAST.swap(0, Relaxed);
        assert_eq!(result, target(call, value) + site.plus, "call {call}, run as number {number}");
    }
}

fn update(target: Target) {
    KEY.update(target).expect("an update");
    KEY_OF_C.update(target).expect("an update");
}

/// Stores to the keys without telling the runtime.
fn store(target: Target) {
    // SAFETY: only functions of the keys' type are stored, and the right ones come back before the next
    // update.
    let keys = unsafe { [KEY.key(), KEY_OF_C.key()] };
    for key in keys {
        key.target.store(target as *mut (), Relaxed);
    }
}

/// Checks all results, and prints how the calls are made.
///
/// `targets` are functions that call [`reached`], one in each image with calls, because a direct call may not
/// reach another image.
pub fn check(sites: &[&[Site]], targets: &[Target]) {
    run(sites, plain);
    update(doubled);
    run(sites, doubled);
    let mut direct_sites = 0;
    for &target in [direct as Target].iter().chain(targets) {
        update(target);
        store(loaded);
        run(sites, plain);
        store(target);
        direct_sites += static_call::process_info().direct;
    }
    update(doubled);
    run(sites, doubled);

    println!("sealed {}", if static_call::seal().is_ok() { "yes" } else { "no" });
    run(sites, doubled);
    println!("mode {}", static_call::mode());
    println!("sites {}", static_call::process_info().sites);
    println!("direct {direct_sites}");
    let list = |calls: &[AtomicBool; CALLS], but: Option<&[AtomicBool; CALLS]>| {
        let is_in = |calls: &[AtomicBool; CALLS], call: usize| calls[call].load(Relaxed);
        let numbers =
            (0..CALLS).filter(|&call| is_in(calls, call) && !but.is_some_and(|but| is_in(but, call)));
        numbers.map(|call| format!(" {call}")).collect::<String>()
    };
    println!("reached{}", list(&DIRECT, None));
    println!("loaded{}", list(&LOADED, Some(&DIRECT)));
}
