//! The keys, the record of their updates, and every call that is checked against it.
#![allow(non_upper_case_globals)]

use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use static_call::{Change, Error, ErrorKind, StaticCall, static_branch_likely, static_branch_unlikely};

use crate::threads::{COUNTS, fail};

pub const TARGETS: u64 = 8;

/// As in `torture.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Plain = 1,
    Shared,
    Zero,
    Visitor,
    Handler,
    Hook,
    Plugin,
    Branch = 10,
}

pub type Answer = extern "C" fn(argument: u64) -> u64;
pub type PutAnswer = extern "C" fn(argument: u64, out: &mut u64);
pub type Targets = [Answer; TARGETS as usize];

/// A target's result, which identifies the key, the target and the argument.
const fn answer(key: u64, number: u64, argument: u64) -> u64 {
    argument << 16 | key << 8 | number
}

extern "C" fn target<const KEY: u64, const NUMBER: u64>(argument: u64) -> u64 {
    answer(KEY, NUMBER, argument)
}

extern "C" fn hook<const NUMBER: u64>(argument: u64, out: &mut u64) {
    *out = answer(Key::Hook as u64, NUMBER, argument);
}

extern "C" fn zero(_: u64) -> u64 {
    0
}

const fn targets<const KEY: u64>() -> Targets {
    [
        target::<KEY, 0>,
        target::<KEY, 1>,
        target::<KEY, 2>,
        target::<KEY, 3>,
        target::<KEY, 4>,
        target::<KEY, 5>,
        target::<KEY, 6>,
        target::<KEY, 7>,
    ]
}

static PLAIN_TARGETS: Targets = targets::<{ Key::Plain as u64 }>();
static SHARED_TARGETS: Targets = targets::<{ Key::Shared as u64 }>();
static ZERO_TARGETS: Targets = targets::<{ Key::Zero as u64 }>();
pub static VISITOR_TARGETS: Targets = targets::<{ Key::Visitor as u64 }>();
pub static HANDLER_TARGETS: Targets = targets::<{ Key::Handler as u64 }>();
static HOOKS: [PutAnswer; TARGETS as usize] =
    [hook::<0>, hook::<1>, hook::<2>, hook::<3>, hook::<4>, hook::<5>, hook::<6>, hook::<7>];

static_call::define! {
    #[unsafe(no_mangle)]
    static plain_key: extern "C" fn(argument: u64) -> u64 = target::<{ Key::Plain as u64 }, 0>;
    #[unsafe(no_mangle)]
    static zero_key: extern "C" fn(argument: u64) -> u64 = zero;
    #[unsafe(no_mangle)]
    pub static visitor_key: extern "C" fn(argument: u64) -> u64 = target::<{ Key::Visitor as u64 }, 0>;
    #[unsafe(no_mangle)]
    static hook_key: Option<extern "C" fn(argument: u64, out: &mut u64)> = None;
    /// On in every other epoch.
    static branch_key: bool = false;
    static child_key: extern "C" fn(argument: u64) -> u64 = target::<{ Key::Plain as u64 }, 0>;
    pub static handler_key: extern "C" fn(argument: u64) -> u64 = target::<{ Key::Handler as u64 }, 0>;
}
static_call::declare! {
    // SAFETY: this is the type of the key in torture_shared.c.
    unsafe extern {
        static shared_key: extern "C" fn(argument: u64) -> u64;
    }
}

#[link(name = "torture_shared", kind = "dylib")]
// SAFETY: the types of torture.h.
unsafe extern "C" {
    safe static shared_plain_targets: Targets;
    safe static shared_shared_targets: Targets;
    safe static shared_zero_targets: Targets;
    safe static shared_hooks: [PutAnswer; TARGETS as usize];
    safe fn shared_call_plain(argument: u64) -> u64;
    safe fn shared_tail_plain(argument: u64) -> u64;
    safe fn shared_conditional_plain(argument: u64) -> u64;
    safe fn shared_call_shared(argument: u64) -> u64;
    safe fn shared_tail_shared(argument: u64) -> u64;
    safe fn shared_call_zero(argument: u64) -> u64;
    safe fn shared_tail_zero(argument: u64) -> u64;
    safe fn shared_call_visitor(argument: u64) -> u64;
    safe fn shared_call_hook(argument: u64, out: &mut u64);
}

/// The numbers of one key's updates: the last that returned, and the last that began.
pub struct Epochs {
    finished: AtomicU64,
    begun: AtomicU64,
}

static EPOCHS: [Epochs; Key::Branch as usize + 1] =
    [const { Epochs { finished: AtomicU64::new(0), begun: AtomicU64::new(0) } }; _];

impl Key {
    /// The keys that only the updater updates.
    pub const UPDATERS: [Self; 5] = [Self::Plain, Self::Shared, Self::Zero, Self::Hook, Self::Branch];

    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "the program's key",
            Self::Shared => "the shared object's key",
            Self::Zero => "the key that returns zero",
            Self::Visitor => "the key with targets in the plugin",
            Self::Handler => "the signal handlers' key",
            Self::Hook => "the hook",
            Self::Plugin => "the plugin's key",
            Self::Branch => "the branches' key",
        }
    }

    fn epochs(self) -> &'static Epochs {
        &EPOCHS[self as usize]
    }

    /// The last update that has returned.
    pub fn finished(self) -> u64 {
        self.epochs().finished.load(Acquire)
    }

    /// Begins an update and returns its number.
    pub fn begin(self) -> u64 {
        let epoch = self.finished() + 1;
        self.epochs().begun.store(epoch, Release);
        epoch
    }

    /// Notes that this update has returned.
    pub fn finish(self) {
        let epochs = self.epochs();
        epochs.finished.store(epochs.begun.load(Relaxed), Release);
        COUNTS.updates.fetch_add(1, Relaxed);
    }

    /// The answer in an epoch. Two keys are off in every other one.
    fn expected(self, epoch: u64, argument: u64) -> u64 {
        match self {
            Self::Zero | Self::Hook if epoch.is_multiple_of(2) => 0,
            Self::Branch => answer(self as u64, epoch % 2, argument),
            _ => answer(self as u64, epoch % TARGETS, argument),
        }
    }

    /// Whether `seen` is the answer of an epoch in `from..=to`.
    #[inline]
    pub fn check(self, site: &str, argument: u64, seen: u64, from: u64, to: u64) {
        if !(from..=to.min(from + TARGETS)).any(|epoch| seen == self.expected(epoch, argument)) {
            self.fail(site, argument, seen, from, to);
        }
    }

    #[cold]
    fn fail(self, site: &str, argument: u64, seen: u64, from: u64, to: u64) -> ! {
        let is_stale = (0..TARGETS).any(|epoch| seen == self.expected(epoch, argument));
        fail!(
            "{}: {site} of {}, called with {argument:#x} between epochs {from} and {to}, gave {seen:#x}",
            if is_stale { "STALE" } else { "WRONG" },
            self.name(),
        )
    }

    /// Makes a call and checks its result.
    #[inline(always)]
    pub fn call(self, site: &str, argument: u64, call: impl FnOnce(u64) -> u64) {
        let from = self.finished();
        let seen = call(argument);
        let to = self.epochs().begun.load(Acquire);
        self.check(site, argument, seen, from, to);
    }

    /// Begins the next change of one of the updater's keys. A `far` one takes a target in the shared object.
    pub fn next(self, far: bool) -> Change {
        let epoch = self.begin();
        let number = (epoch % TARGETS) as usize;
        let one_of = |near: &Targets, distant: &Targets| if far { distant[number] } else { near[number] };
        match self {
            Self::Plain => plain_key.change(one_of(&PLAIN_TARGETS, &shared_plain_targets)),
            Self::Shared => shared_key.change(one_of(&SHARED_TARGETS, &shared_shared_targets)),
            Self::Zero if epoch.is_multiple_of(2) => zero_key.change_return_zero(),
            Self::Zero => zero_key.change(one_of(&ZERO_TARGETS, &shared_zero_targets)),
            Self::Hook if epoch.is_multiple_of(2) => hook_key.change(None),
            Self::Hook => hook_key.change(Some(if far { shared_hooks[number] } else { HOOKS[number] })),
            Self::Branch => branch_key.change(!epoch.is_multiple_of(2)),
            _ => fail!("{} is not the updater's", self.name()),
        }
    }

    /// Updates one of the updater's keys alone.
    pub fn update(self, far: bool) {
        if let Err(error) = patiently(|| static_call::Batch::new([self.next(far)]).commit()) {
            fail!("an update of {}: {error}", self.name());
        }
        self.finish();
    }
}

/// With breakpoints, an update is refused while a thread blocks SIGTRAP. The C library does so for moments,
/// which are long on a busy machine.
pub fn patiently(mut update: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    loop {
        match update() {
            Err(error) if error.kind() == ErrorKind::SignalBlocked => {}
            result => return result,
        }
    }
}

/// Updates the key that has targets in the plugin while that is loaded, and calls it at once.
pub fn update_visitor(targets: &Targets) {
    let epoch = Key::Visitor.begin();
    if let Err(error) = patiently(|| visitor_key.update(targets[(epoch % TARGETS) as usize])) {
        fail!("an update of {}: {error}", Key::Visitor.name());
    }
    Key::Visitor.finish();
    Key::Visitor.call("the loader's call", epoch, |argument| visitor_key.call(argument));
}

/// Updates a key that only this child uses.
pub fn update_in_child() {
    if let Err(error) = patiently(|| child_key.update(target::<{ Key::Plain as u64 }, 1>)) {
        fail!("a child's first update: {error}");
    }
}

/// Updates the key of the signal handlers.
pub fn update_handler(epoch: u64) -> Result<(), Error> {
    patiently(|| handler_key.update(HANDLER_TARGETS[(epoch % TARGETS) as usize]))
}

#[inline(never)]
fn tail_plain(argument: u64) -> u64 {
    plain_key.call(argument)
}

#[inline(never)]
fn tail_shared(argument: u64) -> u64 {
    shared_key.call(argument)
}

#[inline(never)]
fn tail_zero(argument: u64) -> u64 {
    zero_key.call(argument)
}

#[inline(never)]
fn tail_handler(argument: u64) -> u64 {
    handler_key.call(argument)
}

#[inline(never)]
fn tail_hook(argument: u64, out: &mut u64) {
    hook_key.call(argument, out);
}

/// With optimization, one conditional jump.
#[inline(never)]
fn conditional_plain(argument: u64) -> u64 {
    if argument == u64::MAX { 0 } else { plain_key.call(argument) }
}

#[inline(never)]
fn conditional_zero(argument: u64) -> u64 {
    if argument == u64::MAX { 1 } else { zero_key.call(argument) }
}

#[inline(never)]
fn conditional_hook(argument: u64, out: &mut u64) {
    if argument != u64::MAX {
        hook_key.call(argument, out);
    }
}

#[inline(never)]
fn lazy_hook(argument: u64, out: &mut u64) {
    static_call::static_call_lazy!(hook_key, argument, out);
}

const fn branch_answer(is_on: bool, argument: u64) -> u64 {
    answer(Key::Branch as u64, is_on as u64, argument)
}

#[inline(never)]
fn unlikely(argument: u64) -> u64 {
    if static_branch_unlikely!(branch_key) {
        branch_answer(true, argument)
    } else {
        branch_answer(false, argument)
    }
}

#[inline(never)]
fn likely(argument: u64) -> u64 {
    if static_branch_likely!(branch_key) {
        branch_answer(true, argument)
    } else {
        branch_answer(false, argument)
    }
}

/// The value that a call of the hook stores.
#[inline(always)]
fn hooked(call: impl FnOnce(u64, &mut u64)) -> impl FnOnce(u64) -> u64 {
    |argument| {
        let mut out = 0;
        call(argument, &mut out);
        black_box(out)
    }
}

/// Calls through every site that lives as long as the process, once each. Returns their number.
#[inline(never)]
pub fn call_all(a: u64) -> u64 {
    // Otherwise the optimizer would know which way the conditional calls go.
    let (a, none) = (black_box(a), black_box(u64::MAX));
    if (conditional_plain(none), conditional_zero(none), hooked(conditional_hook)(none)) != (0, 1, 0) {
        fail!("WRONG: a conditional tail call was made although its condition is false");
    }
    Key::Plain.call("a call", a, |a| plain_key.call(a));
    Key::Plain.call("a tail call", a, tail_plain);
    Key::Plain.call("a conditional tail call", a, conditional_plain);
    Key::Plain.call("the shared object's call", a, |a| shared_call_plain(a));
    Key::Plain.call("the shared object's tail call", a, |a| shared_tail_plain(a));
    Key::Plain.call("the shared object's conditional tail call", a, |a| shared_conditional_plain(a));
    Key::Shared.call("a call", a, |a| shared_key.call(a));
    Key::Shared.call("a tail call", a, tail_shared);
    Key::Shared.call("the shared object's call", a, |a| shared_call_shared(a));
    Key::Shared.call("the shared object's tail call", a, |a| shared_tail_shared(a));
    Key::Zero.call("a call", a, |a| zero_key.call(a));
    Key::Zero.call("a tail call", a, tail_zero);
    Key::Zero.call("a conditional tail call", a, conditional_zero);
    Key::Zero.call("the shared object's call", a, |a| shared_call_zero(a));
    Key::Zero.call("the shared object's tail call", a, |a| shared_tail_zero(a));
    Key::Hook.call("a call", a, hooked(|a, out| hook_key.call(a, out)));
    Key::Hook.call("a tail call", a, hooked(tail_hook));
    Key::Hook.call("a conditional tail call", a, hooked(conditional_hook));
    Key::Hook.call("the shared object's call", a, hooked(|a, out| shared_call_hook(a, out)));
    Key::Hook.call("a lazy call", a, hooked(lazy_hook));
    Key::Branch.call("an unlikely branch", a, unlikely);
    Key::Branch.call("a likely branch", a, likely);
    Key::Branch
        .call("an inlined unlikely branch", a, |a| branch_answer(static_branch_unlikely!(branch_key), a));
    Key::Branch.call("an inlined likely branch", a, |a| branch_answer(static_branch_likely!(branch_key), a));
    Key::Visitor.call("a call", a, |a| visitor_key.call(a));
    Key::Visitor.call("the shared object's call", a, |a| shared_call_visitor(a));
    Key::Handler.call("a call", a, |a| handler_key.call(a));
    Key::Handler.call("a tail call", a, tail_handler);
    28
}

/// For a child, where no update is under way: each update that had begun is done or not done, and of a batch
/// all are done or none.
pub fn settle() {
    let answers = [
        (Key::Plain, plain_key.call(4)),
        (Key::Shared, shared_key.call(4)),
        (Key::Zero, zero_key.call(4)),
        (Key::Hook, hooked(|a, out| hook_key.call(a, out))(4)),
        (Key::Branch, unlikely(4)),
        (Key::Branch, likely(4)),
        (Key::Visitor, visitor_key.call(4)),
        (Key::Handler, handler_key.call(4)),
    ];
    let mut is_made = [false; 2];
    for (key, answer) in answers {
        let Epochs { finished, begun } = key.epochs();
        let (from, to) = (finished.load(Acquire), begun.load(Acquire));
        let made = answer == key.expected(to, 4);
        if from != to && Key::UPDATERS.contains(&key) {
            is_made[usize::from(made)] = true;
        }
        if made { finished.store(to, Release) } else { begun.store(from, Release) }
    }
    if is_made == [true; 2] {
        fail!("WRONG: half a batch was made");
    }
}
