//! Checks static branches in every kind of code, and with threads that compare each branch with the published
//! updates.

mod hot;
mod threads;

use static_call::{Batch, ErrorKind, StaticBranch, StaticCall, static_branch_likely, static_branch_unlikely};

static_call::define! {
    static VALUE: fn() -> u32 = one;
    /// A branch that is off.
    static OFF: bool = false;
    static HOOK: Option<fn(&mut u32)> = None;
    #[allow(dead_code)]
    pub(crate) static ON: bool = true;
    static UNUSED: bool = true;
}

fn one() -> u32 {
    1
}
fn two() -> u32 {
    2
}

#[inline(never)]
fn unlikely(value: u32) -> u32 {
    if static_branch_unlikely!(OFF) { value * 2 } else { value }
}

#[inline(never)]
fn likely(value: u32) -> u32 {
    if static_branch_likely!(ON) { value } else { value * 2 }
}

/// Both kinds of branch on both kinds of key, as data.
#[inline(never)]
fn as_data() -> [bool; 4] {
    [
        static_branch_unlikely!(OFF),
        static_branch_likely!(OFF),
        static_branch_unlikely!(ON),
        static_branch_likely!(ON),
    ]
}

#[inline(never)]
fn in_a_loop(numbers: &[u32]) -> u32 {
    let mut sum = 0;
    for &number in numbers {
        if static_branch_unlikely!(OFF) {
            continue;
        }
        sum += number;
    }
    sum
}

fn generic<T: Into<u32>>(value: T) -> u32 {
    match static_branch_unlikely!(OFF) {
        true => value.into() + 10,
        false => value.into(),
    }
}

/// In closures, async blocks, drop glue, and in code that unwinds.
fn elsewhere() -> u32 {
    struct OnDrop<'a>(&'a std::cell::Cell<u32>);
    impl Drop for OnDrop<'_> {
        fn drop(&mut self) {
            if static_branch_unlikely!(OFF) {
                self.0.set(self.0.get() + 1);
            }
        }
    }
    let count = std::cell::Cell::new(0);
    drop(OnDrop(&count));
    let closure = || u32::from(static_branch_unlikely!(OFF));
    let future = std::pin::pin!(async { closure() });
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(polled) = future.poll(&mut context) else { panic!("it waits for nothing") };
    let unwound = std::panic::catch_unwind(|| {
        if static_branch_unlikely!(OFF) {
            std::panic::resume_unwind(Box::new(1u32));
        }
    });
    count.get() + closure() + polled + unwound.map_or_else(|boxed| *boxed.downcast::<u32>().unwrap(), |()| 0)
}

fn check_ways(is_off_on: bool, is_on_on: bool) {
    assert_eq!(unlikely(3), if is_off_on { 6 } else { 3 });
    assert_eq!(likely(3), if is_on_on { 3 } else { 6 });
    assert_eq!(as_data(), [is_off_on, is_off_on, is_on_on, is_on_on]);
    assert_eq!(in_a_loop(&[1, 2, 3]), if is_off_on { 0 } else { 6 });
    let more = if is_off_on { 10 } else { 0 };
    assert_eq!((generic(1u8), generic(2u16), generic(3u32)), (1 + more, 2 + more, 3 + more));
    assert_eq!(elsewhere(), if is_off_on { 4 } else { 0 });
    assert_eq!((OFF.is_enabled(), ON.is_enabled()), (is_off_on, is_on_on));
}

fn check_switches() {
    check_ways(false, true);
    for _ in 0..3 {
        OFF.enable().unwrap();
        check_ways(true, true);
        ON.disable().unwrap();
        check_ways(true, false);
        OFF.disable().unwrap();
        check_ways(false, false);
        ON.enable().unwrap();
        check_ways(false, true);
    }
}

fn check_counts() {
    assert_eq!(OFF.dec().unwrap_err().kind(), ErrorKind::Count);
    for count in 1..5 {
        OFF.inc().unwrap();
        assert_eq!(OFF.count(), count);
        check_ways(true, true);
    }
    assert_eq!(OFF.disable().unwrap_err().kind(), ErrorKind::Count);
    OFF.enable().unwrap();
    assert_eq!(OFF.count(), 4);
    for count in (0..4).rev() {
        OFF.dec().unwrap();
        assert_eq!(OFF.count(), count);
        check_ways(count != 0, true);
    }
}

fn check_batches() {
    fn add(value: &mut u32) {
        *value += 10;
    }
    let calls = || {
        let mut hooked = 0;
        HOOK.call(&mut hooked);
        (VALUE.call(), hooked)
    };
    assert_eq!(calls(), (1, 0));
    Batch::new([VALUE.change(two), OFF.change(true), HOOK.change(Some(add)), ON.change(false)])
        .commit()
        .unwrap();
    assert_eq!(calls(), (2, 10));
    check_ways(true, false);
    let twice = Batch::new([VALUE.change(one), ON.change(true), ON.change(false)]).commit();
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::DuplicateKey);
    OFF.inc().unwrap();
    let counted = Batch::new([VALUE.change(one), OFF.change(false)]).commit();
    assert_eq!(counted.unwrap_err().kind(), ErrorKind::Count);
    OFF.dec().unwrap();
    assert_eq!(calls(), (2, 10));
    check_ways(true, false);
    Batch::new([VALUE.change(one), OFF.change(false), HOOK.change(None), ON.change(true)]).commit().unwrap();
    assert_eq!(calls(), (1, 0));
    check_ways(false, true);
}

fn check_across_crates() {
    assert_eq!((keys::is_traced(), keys::is_traced_for(1u8), keys::is_traced_for("a")), (false, None, None));
    keys::TRACED.enable().unwrap();
    assert_eq!(
        (keys::is_traced(), keys::is_traced_for(1u8), keys::is_traced_for("a")),
        (true, Some(1), Some("a"))
    );
    assert!(static_branch_likely!(keys::TRACED));
    keys::TRACED.disable().unwrap();
    assert!(!keys::is_traced());
}

fn main() {
    check_switches();
    check_counts();
    check_batches();
    check_across_crates();
    hot::check();
    threads::check();
    assert!(OFF.name().ends_with("branches::OFF") && UNUSED.is_enabled());
    let info = OFF.info();
    println!("mode {}", static_call::mode());
    println!("branches {}", info.branches);
    println!("patched {}", info.patched_branches);
    assert_eq!((info.sites, info.direct, info.through_trampoline), (0, 0, 0));
    assert_eq!(info.keys, usize::from(info.branches > 0));
    println!("images {}", info.images);
    static_call::seal().unwrap();
    assert_eq!(OFF.enable().unwrap_err().kind(), ErrorKind::Sealed);
    check_ways(false, true);
    println!("ok");
}
