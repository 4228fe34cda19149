//! Without the pass, trampolines cost nothing until the first update of their key. This program has no static
//! branch, which loading it would patch. With an argument, another thread makes the calls.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::{fs, thread};

static_call::define! {
    static FIRST: fn(u32) -> u32 = |number| number;
    static SECOND: fn(u32) -> u32 = |number| number;
    static UNUSED: fn(u32) -> u32 = |number| number;
}

/// How much of its code the program has written, in KiB.
fn written() -> u32 {
    let maps = fs::read_to_string("/proc/self/smaps").expect("the mappings");
    let mut is_code = false;
    let mut written = 0;
    for line in maps.lines() {
        match line.split_once(": ").map(|(name, value)| (name, value.trim().trim_end_matches(" kB"))) {
            None => is_code = line.contains(" r-xp ") && line.ends_with("/waiting"),
            Some(("Anonymous", number)) if is_code => written += number.parse::<u32>().expect("a number"),
            Some(_) => {}
        }
    }
    written
}

/// Whether the kernel is prepared to serialize this process. It refuses a process that has not registered.
fn is_prepared() -> bool {
    const PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 5;
    // SAFETY: membarrier(2) takes numbers only.
    unsafe { libc::syscall(libc::SYS_membarrier, PRIVATE_EXPEDITED_SYNC_CORE, 0) == 0 }
}

fn main() {
    let is_threaded = std::env::args().nth(1).is_some();
    static RESULT: AtomicU32 = AtomicU32::new(0);
    static ENDS: AtomicBool = AtomicBool::new(false);
    let call = || RESULT.store(FIRST.call(1) + (SECOND.call(1) << 16), Ordering::SeqCst);
    let caller = is_threaded.then(|| {
        thread::spawn(move || {
            while !ENDS.load(Ordering::Relaxed) {
                call();
            }
        })
    });
    let reaches = |expected: u32| {
        if !is_threaded {
            call();
        }
        while RESULT.load(Ordering::SeqCst) != expected {
            thread::yield_now();
        }
    };
    reaches(1 + (1 << 16));
    UNUSED.update(|_| 0).unwrap();
    assert_eq!((is_prepared(), written()), (false, 0), "nothing was to be patched");
    FIRST.update(|number| number + 1).unwrap();
    assert_eq!(is_prepared(), !is_threaded, "it takes milliseconds where there are several threads");
    assert!(written() > 0, "the first update patches");
    reaches(2 + (1 << 16));
    SECOND.update(|number| number + 2).unwrap();
    assert_eq!(is_prepared(), !is_threaded);
    reaches(2 + (3 << 16));
    FIRST.update(|number| number + 3).unwrap();
    assert!(is_prepared(), "a thread may still run the first jump");
    reaches(4 + (3 << 16));
    ENDS.store(true, Ordering::Relaxed);
    if let Some(caller) = caller {
        caller.join().unwrap();
    }
    println!("ok {}", static_call::mode());
}
