//! The trace points: what each is called, what it does while it is on, and the keys that switch it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use static_call::{Batch, StaticCall};

macro_rules! points {
    (branches: $($branch:ident)*; hooks: $($hook:ident)*;) => {
        /// The names of all points.
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Point {
            $($branch,)*
            $($hook,)*
        }

        pub(crate) const NAMES: &[&str] = &[$(stringify!($branch),)* $(stringify!($hook),)*];

        /// A key for each: a boolean where the point needs to know only that something happens, and a hook
        /// where it has more to tell.
        pub(crate) mod keys {
            use super::Point;

            static_call::define! {
                $(pub(crate) static $branch: bool = false;)*
                $(pub(crate) static $hook: Option<fn(point: Point, value: u64)> = None;)*
            }
        }

        /// Switches all of them in one transaction, while others run through them.
        pub(crate) fn switch(are_on: bool) -> Result<(), static_call::Error> {
            let hook = are_on.then_some(event as fn(Point, u64));
            Batch::new([$(keys::$branch.change(are_on),)* $(keys::$hook.change(hook),)*]).commit()
        }
    };
}

points! {
    branches: OBJECT OBJECT_END ARRAY ARRAY_END COLON COMMA LINE SPACES TRUE FALSE NULL ESCAPE UNICODE MINUS
        FRACTION EXPONENT;
    hooks: BEGIN STRING NUMBER END;
}

const COUNT: usize = NAMES.len();

/// How often each point was passed while it was on, and the sum of what it had to tell.
static EVENTS: [[AtomicU64; 2]; COUNT] = [const { [const { AtomicU64::new(0) }; 2] }; COUNT];

/// What every point does while it is on.
#[cold]
#[inline(never)]
pub(crate) fn event(point: Point, value: u64) {
    let [count, sum] = &EVENTS[point as usize];
    count.fetch_add(1, Ordering::Relaxed);
    sum.fetch_add(value, Ordering::Relaxed);
}

/// What was counted since the last call.
pub(crate) fn take_events() -> [[u64; 2]; COUNT] {
    EVENTS.each_ref().map(|event| event.each_ref().map(|number| number.swap(0, Ordering::Relaxed)))
}

/// What to have instead of keys: a flag for each point, which it loads.
pub(crate) static FLAGS: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];

pub(crate) fn switch_flags(are_on: bool) {
    FLAGS.iter().for_each(|flag| flag.store(are_on, Ordering::Relaxed));
}
