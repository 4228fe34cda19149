//! Models of the lock, and of what is done under it.
//!
//! loom runs each in every order of its threads, with every value that a load may give, and reports a
//! deadlock (somebody sleeps and is never woken) and two threads at one [`UnsafeCell`] at a time.
//!
//! # Safety
//!
//! loom itself checks each access of an [`UnsafeCell`].

use std::vec::Vec;

use core::cell::Cell;

use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::*;
use crate::os::{set_first, set_thread};

/// Two words that only agree while nobody is in the middle of an update.
struct Whole(UnsafeCell<[u32; 2]>);

// SAFETY: see the module's head.
unsafe impl Sync for Whole {}
// SAFETY: as above.
unsafe impl Send for Whole {}

impl Whole {
    fn new() -> Self {
        Self(UnsafeCell::new([0; 2]))
    }

    /// Under the lock.
    fn update(&self) {
        self.0.with_mut(|words| {
            // SAFETY: see the module's head.
            let words = unsafe { &mut *words };
            assert_eq!(words[0], words[1]);
            words[0] += 1;
            thread::yield_now();
            words[1] += 1;
        });
    }

    /// Under the lock.
    fn get(&self) -> u32 {
        self.0.with(|words| {
            // SAFETY: see the module's head.
            let words = unsafe { *words };
            assert_eq!(words[0], words[1]);
            words[0]
        })
    }
}

/// Runs a model; so many times a thread may be interrupted, where not every order can be tried in time.
fn check(preemptions: impl Into<Option<usize>>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions.into();
    builder.check(move || {
        set_thread(1);
        model();
    });
}

fn spawn(number: usize, run: impl FnOnce() + 'static) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        set_thread(number);
        run();
    })
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Three threads, so that one of them has to pass on that another one is still asleep.
#[test]
fn one_thread_at_a_time_and_nobody_sleeps_for_ever() {
    check(3, || {
        let whole = Arc::new(Whole::new());
        let update = |whole: &Whole| {
            let _lock = lock().unwrap();
            whole.update();
        };
        let others = [2, 3].map(|number| {
            let whole = whole.clone();
            spawn(number, move || update(&whole))
        });
        update(&whole);
        join(others);
        let _lock = lock().unwrap();
        assert_eq!(whole.get(), 3);
    });
}

/// A futex may wake for no reason, and so may a thread that is woken too late for another lock.
#[test]
fn a_wake_up_without_a_reason_does_no_harm() {
    check(3, || {
        let whole = Arc::new(Whole::new());
        let other = {
            let whole = whole.clone();
            spawn(2, move || {
                let _lock = lock().unwrap();
                whole.update();
            })
        };
        let waker = spawn(3, || os::wake(&LOCK.own.state));
        {
            let _lock = lock().unwrap();
            whole.update();
        }
        join([other, waker]);
        let _lock = lock().unwrap();
        assert_eq!(whole.get(), 2);
    });
}

/// A signal and a wake-up may reach a sleeper together. Its handler runs before it comes for the lock, and
/// may wait until another sleeper has had it.
#[test]
fn a_handler_may_run_between_the_wake_up_and_the_lock() {
    check(3, || {
        let is_done = Arc::new((Mutex::new(false), Condvar::new()));
        let guard = lock().unwrap();
        let sleeper = {
            let is_done = is_done.clone();
            spawn(2, move || {
                let handler = || {
                    let mut done = is_done.0.lock().unwrap();
                    while !*done {
                        done = is_done.1.wait(done).unwrap();
                    }
                };
                let wait = |state: &AtomicUsize, awaited| {
                    os::wait(state, awaited);
                    handler();
                };
                LOCK.acquire(os::thread(), wait).unwrap();
                LOCK.release();
            })
        };
        let other = spawn(3, move || {
            drop(lock().unwrap());
            *is_done.0.lock().unwrap() = true;
            is_done.1.notify_all();
        });
        drop(guard);
        join([sleeper, other]);
    });
}

/// A signal handler runs on the thread that it interrupts: to the lock it is that thread.
#[test]
fn a_signal_handler_never_waits_for_its_own_thread() {
    fn handler() {
        assert_eq!(lock().unwrap_err().kind(), ErrorKind::Reentrant);
    }
    check(None, || {
        let whole = Arc::new(Whole::new());
        let other = {
            let whole = whole.clone();
            spawn(2, move || {
                let _lock = lock().unwrap();
                handler();
                whole.update();
                handler();
            })
        };
        {
            let _lock = lock().unwrap();
            handler();
            whole.update();
            handler();
        }
        // Between updates it may.
        drop(lock().unwrap());
        join([other]);
        assert_eq!(whole.get(), 2);
    });
}

/// Memory that is only changed under the lock, and that a child inherits.
///
/// The kernel interrupts all threads before it copies memory for a child. So a child has each thread's stores
/// up to some instruction, and only a compiler could have changed their order. loom does not model compilers,
/// but it lets other threads see stores in every order that the atomics allow. So here a child gets what
/// another thread might see.
struct Memory {
    words: [AtomicUsize; 2],
}

impl Memory {
    fn new() -> Self {
        Self { words: [AtomicUsize::new(0), AtomicUsize::new(0)] }
    }

    /// Under the lock.
    fn update(&self) {
        assert_eq!(self.words[0].load(Relaxed), self.words[1].load(Relaxed));
        instant();
        self.words[0].fetch_add(1, Relaxed);
        instant();
        // The journal orders the steps of an update.
        self.words[1].fetch_add(1, Release);
        instant();
    }

    /// Under the lock, in a child: what a thread that it has not got has left half made is undone.
    fn recover(&self) {
        let [first, second] = self.load();
        assert!(first - second <= 1);
        self.words[0].store(second, Relaxed);
    }

    fn get(&self) -> usize {
        let [first, second] = self.load();
        assert_eq!(first, second, "half an update");
        first
    }

    fn load(&self) -> [usize; 2] {
        let second = self.words[1].load(Acquire);
        [self.words[0].load(Relaxed), second]
    }

    /// The busy thread and the words as of one moment. None if the loads came from different ones.
    fn moment(&self) -> Option<(usize, [usize; 2])> {
        let words = self.load();
        fence(Acquire);
        let busy = LOCK.busy.load(Relaxed);
        fence(Acquire);
        (self.load() == words).then_some((busy, words))
    }

    /// fork(2), `_Fork` or clone(2): the child has this thread alone, under the same name.
    fn fork(&self, in_child: impl Fn(&Lock, &Self)) {
        let Some((busy, words)) = self.moment() else { return };
        let (lock, child) = (Lock::new(), Self::new());
        lock.busy.store(busy, Relaxed);
        for (copy, word) in child.words.iter().zip(words) {
            copy.store(word, Relaxed);
        }
        set_first(true);
        in_child(&lock, &child);
        set_first(false);
    }
}

/// Were the lock held, this would sleep for ever.
fn can_update(lock: &Lock, memory: &Memory) {
    for _ in 0..2 {
        if lock.acquire(os::thread(), os::wait).unwrap() == Found::HalfMade {
            memory.recover();
        }
        memory.update();
        lock.release();
    }
    memory.get();
}

fn locked_update(memory: &Memory) {
    let _lock = lock().unwrap();
    memory.update();
}

#[test]
fn a_child_has_a_free_lock_and_no_half_made_update() {
    check(3, || {
        let memory = Arc::new(Memory::new());
        let others = [2, 3].map(|number| {
            let memory = memory.clone();
            spawn(number, move || locked_update(&memory))
        });
        memory.fork(can_update);
        join(others);
        let _lock = lock().unwrap();
        assert_eq!(memory.get(), 2);
    });
}

#[test]
fn two_threads_fork_and_update() {
    check(3, || {
        let memory = Arc::new(Memory::new());
        let other = {
            let memory = memory.clone();
            spawn(2, move || {
                memory.fork(can_update);
                locked_update(&memory);
            })
        };
        memory.fork(can_update);
        locked_update(&memory);
        join([other]);
        assert_eq!(memory.get(), 2);
    });
}

loom::thread_local! {
    /// After how many more instants a handler interrupts this thread, and which one.
    static HANDLER: Cell<Option<(usize, fn())>> = Cell::new(None);
}

loom::lazy_static! {
    static ref MEMORY: Memory = Memory::new();
    static ref IS_INTERRUPTED: AtomicUsize = AtomicUsize::new(0);
}

/// A moment at which a signal handler may run.
pub(super) fn instant() {
    match HANDLER.with(Cell::take) {
        Some((0, handler)) => {
            IS_INTERRUPTED.store(1, Relaxed);
            handler();
        }
        Some((more, handler)) => HANDLER.with(|it| it.set(Some((more - 1, handler)))),
        None => {}
    }
}

/// Runs an update that a handler interrupts, at each of its instants in turn; whether there was one with this
/// number.
fn interrupted(at: usize, handler: fn()) -> bool {
    HANDLER.with(|it| it.set(Some((at, handler))));
    locked_update(&MEMORY);
    HANDLER.with(Cell::take);
    IS_INTERRUPTED.load(Relaxed) != 0
}

/// The number of instants of an update.
const INSTANTS: usize = 7;

/// An update, or an error: never a wait.
fn update_or_error() {
    match lock() {
        Ok(_lock) => MEMORY.update(),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Reentrant),
    }
}

#[test]
fn a_handler_at_every_instant_of_an_update() {
    for at in 0..INSTANTS {
        check(2, move || {
            let other = spawn(2, || locked_update(&MEMORY));
            assert!(interrupted(at, update_or_error));
            join([other]);
            let _lock = lock().unwrap();
            assert!([2, 3].contains(&MEMORY.get()));
        });
    }
}

/// The child goes on with the update that the signal handler interrupted, as the thread that it was. Of the
/// two processes, this is the child; it has no other thread.
#[test]
fn a_handler_forks_at_every_instant_of_an_update() {
    for at in 0..=INSTANTS {
        check(None, move || {
            set_first(false);
            let there_was_one = interrupted(at, || {
                LOCK.own.state.store(FREE, Relaxed);
                set_first(true);
                update_or_error();
                update_or_error();
            });
            assert_eq!(there_was_one, at < INSTANTS);
            // The lock is free, and has no more to tell.
            assert_eq!(LOCK.busy.load(Relaxed), FREE);
            let before = MEMORY.get();
            can_update(&LOCK, &MEMORY);
            assert_eq!(MEMORY.get(), before + 2);
        });
    }
}

/// A child that has other threads before the first of them locks: one of them recovers, and the others wait
/// for it.
#[test]
fn threads_of_a_child_find_a_half_made_update() {
    check(3, || {
        // The busy thread is not there, and a new thread has its name.
        set_thread(2);
        LOCK.busy.store(os::thread(), Relaxed);
        set_thread(1);
        MEMORY.words[0].store(1, Relaxed);
        let update = || {
            if LOCK.acquire(os::thread(), os::wait).unwrap() == Found::HalfMade {
                MEMORY.recover();
            }
            MEMORY.update();
            LOCK.release();
        };
        let others = [2, 3].map(|number| spawn(number, update));
        set_first(true);
        update();
        join(others);
        assert_eq!(MEMORY.get(), 3);
    });
}

/// Where the kernel gives no zeros, the hook of fork(2) frees the lock.
#[test]
fn a_child_that_has_inherited_the_lock() {
    check(None, || {
        let lock = Lock::new();
        lock.own.is_kept.store(true, Relaxed);
        lock.acquire(18, os::wait).unwrap();
        assert!(lock.is_inherited());
        assert_eq!(lock.acquire(os::thread(), os::wait).unwrap(), Found::HalfMade);
        lock.release();
        assert!(!lock.is_inherited());
    });
}

/// Registration and unregistration against updates, reduced to the links: the images, and one key's records.
/// `image.rs` and `update.rs` walk and change the real ones in the same way, under the same lock.
struct Process {
    images: UnsafeCell<Option<usize>>,
    records: UnsafeCell<Option<usize>>,
    image: [UnsafeCell<Links>; 3],
    /// The key's target, which calls load without the lock.
    target: AtomicU32,
}

#[derive(Clone, Copy, Default)]
struct Links {
    /// Cleared when the image is unmapped: nobody may touch it any more.
    is_mapped: bool,
    next_image: Option<usize>,
    next_record: Option<usize>,
    /// Where the image's site leads.
    site: u32,
}

// SAFETY: see the module's head.
unsafe impl Sync for Process {}
// SAFETY: as above.
unsafe impl Send for Process {}

impl Process {
    fn new() -> Self {
        Self {
            images: UnsafeCell::new(None),
            records: UnsafeCell::new(None),
            image: core::array::from_fn(|_| UnsafeCell::new(Links::default())),
            target: AtomicU32::new(1),
        }
    }

    fn visit<T>(&self, image: usize, visit: impl FnOnce(&mut Links) -> T) -> T {
        self.image[image].with_mut(|links| {
            // SAFETY: see the module's head.
            let links = unsafe { &mut *links };
            assert!(links.is_mapped, "image {image} is touched and not mapped");
            visit(links)
        })
    }

    /// What an image's constructor does: its site comes to the present target, whatever it is.
    fn register(&self, image: usize) {
        // The dynamic linker has mapped it before.
        // SAFETY: see the module's head.
        self.image[image].with_mut(|links| unsafe { (*links).is_mapped = true });
        let _lock = lock().unwrap();
        // SAFETY: see the module's head.
        let next_record = self.records.with_mut(|head| unsafe { (*head).replace(image) });
        // SAFETY: as above.
        let next_image = self.images.with_mut(|head| unsafe { (*head).replace(image) });
        let site = self.target.load(Ordering::Relaxed);
        self.visit(image, |links| *links = Links { is_mapped: true, next_image, next_record, site });
    }

    fn unregister(&self, image: usize) {
        {
            let _lock = lock().unwrap();
            let Links { next_image, next_record, .. } = self.visit(image, |links| *links);
            Self::unlink(&self.records, image, next_record, |other, new| {
                self.visit(other, |links| {
                    let old = links.next_record;
                    links.next_record = new.unwrap_or(old);
                    old
                })
            });
            Self::unlink(&self.images, image, next_image, |other, new| {
                self.visit(other, |links| {
                    let old = links.next_image;
                    links.next_image = new.unwrap_or(old);
                    old
                })
            });
        }
        // The dynamic linker unmaps it behind the destructor.
        self.visit(image, |links| links.is_mapped = false);
    }

    fn unlink(
        head: &UnsafeCell<Option<usize>>,
        image: usize,
        behind: Option<usize>,
        link: impl Fn(usize, Option<Option<usize>>) -> Option<usize>,
    ) {
        // SAFETY: see the module's head.
        let first = head.with(|head| unsafe { *head });
        if first == Some(image) {
            // SAFETY: as above.
            head.with_mut(|head| unsafe { *head = behind });
            return;
        }
        let mut here = first;
        while let Some(other) = here {
            here = link(other, None);
            if here == Some(image) {
                link(other, Some(behind));
                return;
            }
        }
        panic!("image {image} is in no list");
    }

    fn update(&self, target: u32) {
        let _lock = lock().unwrap();
        self.target.store(target, Ordering::Release);
        // SAFETY: see the module's head.
        let mut next = self.records.with(|head| unsafe { *head });
        while let Some(image) = next {
            assert!(self.is_registered(image), "a record of no registered image");
            next = self.visit(image, |links| {
                links.site = target;
                links.next_record
            });
        }
    }

    /// As `of_record` in `image.rs`.
    fn is_registered(&self, image: usize) -> bool {
        // SAFETY: see the module's head.
        let mut next = self.images.with(|head| unsafe { *head });
        while let Some(other) = next {
            if other == image {
                return true;
            }
            next = self.visit(other, |links| links.next_image);
        }
        false
    }

    /// That every registered image is in both lists, and leads to the key's target.
    fn check(&self, registered: &[usize]) {
        let _lock = lock().unwrap();
        let walk = |head: &UnsafeCell<Option<usize>>, next: fn(&Links) -> Option<usize>| {
            let mut found = Vec::new();
            // SAFETY: see the module's head.
            let mut here = head.with(|head| unsafe { *head });
            while let Some(image) = here {
                found.push(image);
                here = self.visit(image, |links| next(links));
            }
            found.sort_unstable();
            found
        };
        assert_eq!(walk(&self.images, |links| links.next_image), registered);
        assert_eq!(walk(&self.records, |links| links.next_record), registered);
        for &image in registered {
            assert_eq!(self.visit(image, |links| links.site), self.target.load(Ordering::Relaxed));
        }
    }
}

#[test]
fn images_come_and_go_while_keys_are_updated() {
    check(2, || {
        let process = Arc::new(Process::new());
        process.register(0);
        process.register(1);
        let opening = {
            let process = process.clone();
            spawn(2, move || process.register(2))
        };
        let closing = {
            let process = process.clone();
            spawn(3, move || process.unregister(0))
        };
        process.update(2);
        join([opening, closing]);
        process.check(&[1, 2]);
    });
}

#[test]
fn an_image_comes_and_goes_at_once_with_two_updates() {
    check(2, || {
        let process = Arc::new(Process::new());
        process.register(0);
        let image = {
            let process = process.clone();
            spawn(2, move || {
                process.register(1);
                process.unregister(1);
            })
        };
        let update = {
            let process = process.clone();
            spawn(3, move || process.update(2))
        };
        process.update(3);
        join([image, update]);
        process.check(&[0]);
    });
}
