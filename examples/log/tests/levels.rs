//! Messages through the layer, with a logger that keeps them.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};
use static_call::ErrorKind;
use static_log::{debug, error, info, is_on, levels, max_level, set_max_level, trace, warn};

/// What was logged: target and text.
static KEPT: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

struct Keeper;

impl Log for Keeper {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &Record<'_>) {
        let text = format!("{} {}", record.level(), record.args());
        kept().push((record.target().to_owned(), text));
    }
    fn flush(&self) {}
}

fn kept() -> MutexGuard<'static, Vec<(String, String)>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One test at a time: the levels are the process's.
fn start() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = log::set_logger(&Keeper);
    set_max_level(LevelFilter::Off).expect("nothing forbids it");
    kept().clear();
    guard
}

const FILTERS: [LevelFilter; 6] = [
    LevelFilter::Off,
    LevelFilter::Error,
    LevelFilter::Warn,
    LevelFilter::Info,
    LevelFilter::Debug,
    LevelFilter::Trace,
];

/// One message of each level. Returns how many arguments were evaluated.
fn messages() -> usize {
    let evaluated = Cell::new(0);
    let count = |number: u32| {
        evaluated.set(evaluated.get() + 1);
        number
    };
    error!("one {}", count(1));
    warn!("two {}", count(2));
    info!(target: "a target", "three {}", count(3));
    debug!("four {number}", number = count(4));
    // As an expression, too.
    match evaluated.get() {
        100 => (),
        _ => trace!("five {}", count(5)),
    }
    evaluated.get()
}

#[test]
fn messages_follow_the_level() {
    let _one = start();
    for filter in FILTERS.into_iter().chain(FILTERS.into_iter().rev()) {
        set_max_level(filter).expect("nothing forbids it");
        let expected = [
            (module_path!(), "ERROR one 1"),
            (module_path!(), "WARN two 2"),
            ("a target", "INFO three 3"),
            (module_path!(), "DEBUG four 4"),
            (module_path!(), "TRACE five 5"),
        ];
        let count = filter as usize;
        assert_eq!(messages(), count, "{filter}: evaluated arguments");
        let kept: Vec<_> = kept().drain(..).collect();
        let kept: Vec<_> = kept.iter().map(|(target, text)| (target.as_str(), text.as_str())).collect();
        assert_eq!(kept, expected[..count]);
        assert_eq!((max_level(), log::max_level()), (filter, filter));
        assert!(Level::iter().all(|level| is_on(level) == (level <= filter)));
    }
}

#[test]
fn a_refused_update_changes_nothing() {
    let _one = start();
    set_max_level(LevelFilter::Debug).expect("nothing forbids it");
    levels::WARN.inc().expect("a second one that wants warnings");
    for refused in [LevelFilter::Off, LevelFilter::Error] {
        let error = set_max_level(refused).expect_err("somebody wants warnings");
        assert_eq!(error.kind(), ErrorKind::Count);
        assert_eq!((max_level(), log::max_level()), (LevelFilter::Debug, LevelFilter::Debug));
        assert_eq!(messages(), 4);
    }
    set_max_level(LevelFilter::Warn).expect("that is no contradiction");
    levels::WARN.dec().expect("it was counted");
    set_max_level(LevelFilter::Error).expect("nobody else wants it any more");
    assert_eq!(messages(), 1);
}

/// As `tests/branches.rs` has the same of branches, only for the layer's own: of each message, one branch.
#[test]
fn every_message_is_a_branch() {
    let _one = start();
    let info = static_call::process_info();
    let expected = if cfg!(all(target_arch = "x86_64", target_os = "linux")) { 5 } else { 0 };
    assert!(info.branches >= expected, "{info:?}");
    assert_eq!(info.branches, info.patched_branches, "{}", static_call::mode_reason());
}

#[test]
fn threads_log_while_the_level_changes() {
    let _one = start();
    std::thread::scope(|scope| {
        let logged = || (0..2_000).map(|_| messages()).sum::<usize>();
        let loggers: Vec<_> = (0..2).map(|_| scope.spawn(logged)).collect();
        for round in 0..300 {
            set_max_level(FILTERS[round % FILTERS.len()]).expect("nothing forbids it");
        }
        let evaluated: usize = loggers.into_iter().map(|logger| logger.join().expect("no panic")).sum();
        assert_eq!(kept().len(), evaluated, "messages, and arguments that were evaluated");
    });
    set_max_level(LevelFilter::Off).expect("nothing forbids it");
    kept().clear();
    assert_eq!((messages(), kept().len()), (0, 0));
}
