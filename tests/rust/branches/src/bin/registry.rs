//! The registry. Without an argument the program checks it; otherwise it says which ways its branches go.

use static_call::registry::{self, Entry, State};
use static_call::{ErrorKind, static_branch_likely, static_branch_unlikely};

static_call::define! {
    static VALUE: fn() -> u32 = one;
    static HOOK: Option<fn()> = None;
    static CHECK: bool = false;
}

mod net {
    static_call::define! {
        pub static TRACE: bool = false;
        pub static CHECK: bool = false;
    }
    pub mod tcp {
        static_call::define! { pub static TRACE: bool = false; }
    }
}

fn one() -> u32 {
    1
}
fn two() -> u32 {
    2
}

#[inline(never)]
fn ways() -> [bool; 4] {
    HOOK.call();
    [
        static_branch_unlikely!(net::TRACE),
        static_branch_likely!(net::CHECK),
        static_branch_unlikely!(CHECK),
        static_branch_likely!(net::tcp::TRACE),
    ]
}

fn listed(pattern: &str) -> Vec<Entry> {
    registry::matching(pattern).map(|entry| entry.expect("no update is under way")).collect()
}

fn names(pattern: &str) -> Vec<String> {
    let mut names: Vec<_> = listed(pattern).iter().map(|entry| entry.name().to_owned()).collect();
    names.sort_unstable();
    names
}

fn state(name: &str) -> State {
    let [entry] = listed(name)[..] else { panic!("{:?}", names(name)) };
    entry.state()
}

fn check_list() {
    // Where branches are loads, a key that nothing else switches may have become a constant.
    CHECK.disable().unwrap();
    assert_eq!(
        names("registry::*"),
        [
            "registry::CHECK",
            "registry::HOOK",
            "registry::VALUE",
            "registry::net::CHECK",
            "registry::net::TRACE",
            "registry::net::tcp::TRACE",
        ]
    );
    assert!(registry::keys().count() >= 6);
    assert_eq!(names("*::TRACE"), ["registry::net::TRACE", "registry::net::tcp::TRACE"]);
    assert_eq!(state("registry::HOOK"), State::Off);
    assert_eq!(state("registry::VALUE"), State::Calls { target: one as *const () as usize });
    VALUE.update(two).unwrap();
    assert_eq!(state("registry::VALUE"), State::Calls { target: two as *const () as usize });
    assert_eq!(VALUE.call(), 2);
    net::CHECK.inc().unwrap();
    net::CHECK.inc().unwrap();
    let [entry] = listed("registry::net::CHECK")[..] else { panic!("one key") };
    assert_eq!(entry.to_string(), "registry::net::CHECK: on, 2 times");
    assert_eq!(entry.info(), static_call::StaticBranch::info(&net::CHECK));
    net::CHECK.dec().unwrap();
    net::CHECK.dec().unwrap();
}

fn check_switches() {
    assert_eq!(ways(), [false; 4]);
    assert_eq!(registry::enable("registry::net::*"), Ok(3));
    assert_eq!(ways(), [true, true, false, true]);
    // The program may do anything in the middle of a walk.
    for entry in registry::matching("registry::net::*") {
        assert_eq!(registry::inc(entry.unwrap().name()), Ok(1));
    }
    let refused = registry::disable("*").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Count);
    assert!(refused.name().starts_with("registry::net::"), "{refused}");
    assert!(refused.to_string().starts_with(&format!("{}: the branch's count", refused.name())), "{refused}");
    assert_eq!(ways(), [true, true, false, true]);
    assert_eq!(registry::dec("registry::net::*"), Ok(3));
    assert_eq!(registry::disable("registry::net::CHECK"), Ok(1));
    assert_eq!(ways(), [true, false, false, true]);
    assert_eq!(registry::disable("registry::*"), Ok(4));
    assert_eq!(ways(), [false; 4]);
    assert_eq!(registry::enable("registry::VALUE"), Ok(0));
    static_call::seal().unwrap();
    assert_eq!(registry::enable("registry::*").unwrap_err().kind(), ErrorKind::Sealed);
    assert_eq!((ways(), names("registry::*").len()), ([false; 4], 6));
}

fn main() {
    if static_call::process_info().images == 0 {
        println!("not registered");
        return;
    }
    if std::env::args().len() == 1 {
        check_list();
        check_switches();
    } else {
        println!("ways {:?}", ways());
    }
    println!("ok");
}
