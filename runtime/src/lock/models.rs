//! Models of the lock, and of what is done under it.
//!
//! loom runs each in every order of its threads, with every value that a load may give, and reports a
//! deadlock (somebody sleeps and is never woken) and two threads at one [`UnsafeCell`] at a time.
//!
//! # Safety
//!
//! loom itself checks each access of an [`UnsafeCell`].

use std::vec::Vec;

use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use super::*;
use crate::os::set_thread;

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

fn spawn(number: u32, run: impl FnOnce() + 'static) -> thread::JoinHandle<()> {
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
        let waker = spawn(3, || os::wake(&LOCK.state));
        {
            let _lock = lock().unwrap();
            whole.update();
        }
        join([other, waker]);
        let _lock = lock().unwrap();
        assert_eq!(whole.get(), 2);
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

/// fork(2) as its hooks see it: what the child's copy of the lock holds, and its only thread's number.
fn fork(whole: &Whole, in_child: impl Fn(&Lock)) {
    LOCK.before_fork(os::thread());
    // The parent's memory at this moment. The lock is held, or nobody else can be in the middle of anything.
    let child = LOCK.copy();
    whole.get();
    let parent = os::thread();
    set_thread(parent + 100);
    child.after_fork_in_child(os::thread());
    in_child(&child);
    set_thread(parent);
    LOCK.after_fork();
}

impl Lock {
    fn copy(&self) -> Self {
        let copy = Self::new();
        copy.state.store(self.state.load(Ordering::Relaxed), Ordering::Relaxed);
        copy.forks_wait.store(self.forks_wait.load(Ordering::Relaxed), Ordering::Relaxed);
        copy.forks.store(self.forks.load(Ordering::Relaxed), Ordering::Relaxed);
        copy
    }
}

fn can_update(child: &Lock) {
    // Were it held, this would sleep for ever.
    child.acquire(os::thread()).unwrap();
    child.release();
}

#[test]
fn a_child_has_a_free_lock_and_no_half_made_update() {
    check(3, || {
        let whole = Arc::new(Whole::new());
        let others = [2, 3].map(|number| {
            let whole = whole.clone();
            spawn(number, move || {
                let lock = lock().unwrap();
                whole.update();
                drop(lock);
            })
        });
        fork(&whole, can_update);
        join(others);
        let _lock = lock().unwrap();
        assert_eq!(whole.get(), 2);
    });
}

#[test]
fn two_threads_fork() {
    check(None, || {
        let whole = Arc::new(Whole::new());
        let other = {
            let whole = whole.clone();
            spawn(2, move || fork(&whole, can_update))
        };
        fork(&whole, can_update);
        join([other]);
        can_update(&LOCK);
    });
}

/// The child goes on with the update that the signal handler interrupted: it holds the lock, as a thread
/// with a new number.
#[test]
fn a_signal_handler_forks_in_the_middle_of_an_update() {
    check(None, || {
        let whole = Arc::new(Whole::new());
        let other = {
            let whole = whole.clone();
            spawn(2, move || {
                let _lock = lock().unwrap();
                whole.update();
            })
        };
        {
            let _lock = lock().unwrap();
            fork(&whole, |child| {
                let again = child.acquire(os::thread());
                assert_eq!(again.unwrap_err().kind(), ErrorKind::Reentrant);
                child.release();
                can_update(child);
            });
            // Nor has the fork let go of the parent's.
            assert_eq!(lock().unwrap_err().kind(), ErrorKind::Reentrant);
            whole.update();
        }
        join([other]);
        let _lock = lock().unwrap();
        assert_eq!(whole.get(), 2);
    });
}

/// The inner fork must not let go of the lock that the outer one took.
#[test]
fn a_signal_handler_forks_in_the_middle_of_a_fork() {
    check(None, || {
        let whole = Arc::new(Whole::new());
        let other = {
            let whole = whole.clone();
            spawn(2, move || {
                let _lock = lock().unwrap();
                whole.update();
            })
        };
        LOCK.before_fork(os::thread());
        fork(&whole, |child| {
            // The inner child comes back into the middle of the outer fork, and goes on with it.
            child.after_fork_in_child(os::thread());
            can_update(child);
        });
        whole.get();
        let child = LOCK.copy();
        LOCK.after_fork();
        set_thread(101);
        child.after_fork_in_child(os::thread());
        can_update(&child);
        set_thread(1);
        join([other]);
        let _lock = lock().unwrap();
        assert_eq!(whole.get(), 1);
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
