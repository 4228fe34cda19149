//! The parser in each of its forms, which differ in what their trace points are.

/// Without trace points.
pub(crate) mod none {
    macro_rules! point {
        ($name:ident) => {{}};
    }
    macro_rules! hook {
        ($name:ident, $value:expr) => {{}};
    }
    include!("parser.rs");
}

/// The same once more: what differs between both is their place in memory.
pub(crate) mod again {
    macro_rules! point {
        ($name:ident) => {{}};
    }
    macro_rules! hook {
        ($name:ident, $value:expr) => {{}};
    }
    include!("parser.rs");
}

/// With a flag for each, that is loaded.
pub(crate) mod flags {
    use std::sync::atomic::Ordering;

    use crate::points::{FLAGS, Point, event};

    macro_rules! point {
        ($name:ident) => {
            hook!($name, 0)
        };
    }
    macro_rules! hook {
        ($name:ident, $value:expr) => {
            if FLAGS[Point::$name as usize].load(Ordering::Relaxed) {
                event(Point::$name, $value);
            }
        };
    }
    include!("parser.rs");
}

/// As static branches and lazy hooks.
pub(crate) mod keyed {
    use static_call::{static_branch_unlikely, static_call_lazy};

    use crate::points::{Point, event, keys};

    macro_rules! point {
        ($name:ident) => {
            if static_branch_unlikely!(keys::$name) {
                event(Point::$name, 0);
            }
        };
    }
    macro_rules! hook {
        ($name:ident, $value:expr) => {
            static_call_lazy!(keys::$name, Point::$name, $value)
        };
    }
    include!("parser.rs");
}
