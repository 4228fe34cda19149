//! The steps that the threads repeat.

use std::ffi::{CStr, CString, c_int};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use static_call::Batch;

use crate::keys::{
    Answer, Key, TARGETS, Targets, VISITOR_TARGETS, call_all, patiently, settle, update_in_child,
    update_visitor,
};
use crate::threads::{ALLOCATOR, COUNTS, Doing, READERS, THREADS, Thread, UPDATER, fail, set_name};

/// The time after which a child counts as hung, in seconds.
const CHILD_STUCK_AFTER: u32 = 30;

type Step = Box<dyn FnMut(&'static Thread)>;

/// Performs one step of each of [`THREADS`].
pub const WORK: [fn() -> Step; THREADS.len()] =
    [|| reader(1), || reader(2), || reader(3), || reader(4), updater, allocator, loader, forker, signaller];

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn sleep(microseconds: u64) {
    std::thread::sleep(Duration::from_micros(microseconds));
}

fn reader(number: u64) -> Step {
    let mut argument = 0u64;
    Box::new(move |_| {
        argument += 0x10001;
        COUNTS.calls.fetch_add(call_all((argument << 3 | number) & 0xff_ffff_ffff), Relaxed);
    })
}

fn updater() -> Step {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    Box::new(move |thread| {
        let first = random.below(Key::UPDATERS.len() as u64) as usize;
        match random.below(8) {
            0 => update_several::<2>(thread, first, &mut random),
            1 => update_several::<4>(thread, first, &mut random),
            _ => {
                thread.is_doing(Doing::UpdatingOne);
                Key::UPDATERS[first].update(random.below(3) == 0);
            }
        }
        if random.below(8) == 0 {
            // Lets calls also see a settled state, and other threads get the lock.
            thread.is_doing(Doing::Sleeping);
            sleep(random.below(200));
        }
    })
}

/// Handlers interrupt the C library here while it holds its own locks, for which fork waits.
fn allocator() -> Step {
    Box::new(|thread| {
        thread.is_doing(Doing::Allocating);
        let blocks: Vec<Vec<u8>> = (0..64).map(|index| Vec::with_capacity(2000 + index * 64)).collect();
        std::hint::black_box(blocks);
    })
}

/// A batch of some of the updater's keys.
fn update_several<const N: usize>(thread: &Thread, first: usize, random: &mut Random) {
    thread.is_doing(Doing::UpdatingSeveral);
    let key = |index| Key::UPDATERS[(first + index) % Key::UPDATERS.len()];
    let far: [bool; N] = std::array::from_fn(|_| random.below(3) == 0);
    let batch = || Batch::new(std::array::from_fn::<_, N, _>(|index| key(index).next(far[index])));
    if let Err(error) = patiently(|| batch().commit()) {
        fail!("a batch of {N} changes: {error}");
    }
    (0..N).for_each(|index| key(index).finish());
}

/// The plugin while it is loaded.
struct Plugin {
    handle: *mut libc::c_void,
    call_plain: Answer,
    tail_plain: Answer,
    call_own: Answer,
    tail_own: Answer,
    update_own: extern "C" fn(number: u64) -> c_int,
    targets: &'static Targets,
}

impl Plugin {
    fn load(path: &CStr) -> Self {
        // SAFETY: the plugin's constructors register it, and no more.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            fail!("{path:?} could not be loaded");
        }
        let symbol = |name: &CStr| {
            // SAFETY: the handle of a loaded image, and a string.
            let symbol = unsafe { libc::dlsym(handle, name.as_ptr()) };
            if symbol.is_null() {
                fail!("the plugin has no {name:?}");
            }
            symbol
        };
        // SAFETY: the types of torture.h. Nothing here is used after the plugin is unloaded.
        unsafe {
            let function = |name| std::mem::transmute::<*mut libc::c_void, Answer>(symbol(name));
            Self {
                handle,
                call_plain: function(c"plugin_call_plain"),
                tail_plain: function(c"plugin_tail_plain"),
                call_own: function(c"plugin_call_own"),
                tail_own: function(c"plugin_tail_own"),
                update_own: std::mem::transmute::<*mut libc::c_void, extern "C" fn(u64) -> c_int>(symbol(
                    c"plugin_update_own",
                )),
                targets: &*symbol(c"plugin_targets").cast(),
            }
        }
    }

    fn unload(self, path: &CStr) {
        // SAFETY: no thread is in the plugin's code, and no key has a target in it.
        let is_gone = unsafe {
            libc::dlclose(self.handle) == 0
                && libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD).is_null()
        };
        if !is_gone {
            fail!("the plugin could not be unloaded");
        }
    }
}

fn loader() -> Step {
    let path = CString::new(env!("TORTURE_PLUGIN")).unwrap_or_default();
    Box::new(move |thread| {
        thread.is_doing(Doing::Loading);
        let plugin = Plugin::load(&path);
        thread.is_doing(Doing::CallingPlugin);
        Key::Plugin.check("the first call", 1, (plugin.call_own)(1), 0, 0);
        for i in 0..8 * TARGETS {
            Key::Plain.call("the plugin's call", i, |i| (plugin.call_plain)(i));
            Key::Plain.call("the plugin's tail call", i, |i| (plugin.tail_plain)(i));
            let number = i / 8;
            if i.is_multiple_of(8) {
                loop {
                    match (plugin.update_own)(number) {
                        0 => break,
                        // See `patiently`.
                        error if error == -libc::EAGAIN => {}
                        error => fail!("the plugin's update of its key gave {error}"),
                    }
                }
                COUNTS.updates.fetch_add(1, Relaxed);
                update_visitor(plugin.targets);
            }
            Key::Plugin.check("the plugin's call", i, (plugin.call_own)(i), number, number);
            Key::Plugin.check("the plugin's tail call", i, (plugin.tail_own)(i), number, number);
        }
        COUNTS.calls.fetch_add(4 * 8 * TARGETS + 9, Relaxed);
        thread.is_doing(Doing::WaitingForCallers);
        update_visitor(&VISITOR_TARGETS);
        wait_for_callers();
        thread.is_doing(Doing::Unloading);
        plugin.unload(&path);
        COUNTS.loads.fetch_add(1, Relaxed);
    })
}

/// Waits until all threads have ended the calls that they were in.
fn wait_for_callers() {
    for caller in &THREADS[..=UPDATER] {
        let steps = caller.steps.load(Relaxed);
        while caller.steps.load(Relaxed) == steps && !caller.is_over.load(Relaxed) {
            sleep(100);
        }
    }
}

fn forker() -> Step {
    let mut turn = 0u64;
    Box::new(move |thread| {
        if turn % 4 == 3 {
            // By posix_spawn(3): the child runs in our memory until it has its own.
            thread.is_doing(Doing::Spawning);
            match Command::new("/bin/true").status() {
                Ok(status) if status.success() => {}
                other => fail!("a spawned program: {other:?}"),
            }
        } else {
            // With aliases, only fork's hooks keep a child from following its parent.
            let is_free = has_wiped_pages() && static_call::writer() != static_call::Writer::Alias;
            let is_clone = turn % 4 == 1 && is_free;
            thread.is_doing(if is_clone { Doing::Cloning } else { Doing::Forking });
            let mask = Mask::new(!has_wiped_pages());
            // SAFETY: the child does not allocate, and takes no lock but the runtime's.
            let child = unsafe { if is_clone { clone() } else { libc::fork() } };
            drop(mask);
            match child {
                0 => in_child(!is_clone),
                child @ 1.. => {
                    thread.is_doing(Doing::WaitingForChild);
                    wait_for(child);
                }
                _ => fail!("fork failed"),
            }
        }
        turn += 1;
        COUNTS.forks.fetch_add(1, Relaxed);
        thread.is_doing(Doing::Sleeping);
        sleep(500);
    })
}

/// A child without the help of the C library.
///
/// # Safety
///
/// As for fork(2).
unsafe fn clone() -> libc::pid_t {
    const FLAGS: c_int = libc::SIGCHLD;
    let [first, second] = if cfg!(target_arch = "s390x") { [0, FLAGS] } else { [FLAGS, 0] };
    // SAFETY: no new stack, and nothing is stored: a fork.
    let child = unsafe {
        libc::syscall(libc::SYS_clone, libc::c_long::from(first), libc::c_long::from(second), 0, 0, 0)
    };
    child as libc::pid_t
}

/// Blocks the handler's signal where needed: until fork(2) returns, a handler in a child would wait for a
/// thread that the child does not have.
struct Mask(libc::sigset_t);

impl Mask {
    fn new(is_needed: bool) -> Self {
        // SAFETY: both sets are written before they are read.
        unsafe {
            let (mut blocked, mut before) = std::mem::zeroed();
            libc::sigemptyset(&raw mut blocked);
            if is_needed {
                libc::sigaddset(&raw mut blocked, libc::SIGUSR1);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const blocked, &raw mut before);
            Self(before)
        }
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        // SAFETY: reads the set.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

/// Whether a page can be zeroed in children: Linux supports this since 4.14, some emulators do not. Without
/// it, only the hooks of fork(2) release the lock.
fn has_wiped_pages() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        const LEN: usize = 1 << 16;
        // SAFETY: a new page, which only the child reads.
        unsafe {
            let (access, flags) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let page = libc::mmap(std::ptr::null_mut(), LEN, access, flags, -1, 0);
            if page == libc::MAP_FAILED || libc::madvise(page, LEN, libc::MADV_WIPEONFORK) != 0 {
                return false;
            }
            page.cast::<u8>().write_volatile(1);
            let child = libc::fork();
            if child == 0 {
                libc::_exit(page.cast::<u8>().read_volatile().into());
            }
            let mut status = 0;
            libc::waitpid(child, &raw mut status, 0) == child && status == 0
        }
    })
}

/// A child has only this thread. No update is half done, at least after the child's first one, and the lock
/// is free.
fn in_child(is_whole: bool) -> ! {
    set_name("a child");
    // SAFETY: alarm(2) takes a number.
    unsafe { libc::alarm(CHILD_STUCK_AFTER) };
    if !is_whole {
        call_all(8);
        update_in_child();
    }
    settle();
    call_all(0);
    for (index, key) in Key::UPDATERS.into_iter().enumerate() {
        key.update(index.is_multiple_of(2));
    }
    call_all(1);
    let batch = || {
        let mut far = true;
        Batch::new(Key::UPDATERS.map(|key| {
            far = !far;
            key.next(far)
        }))
    };
    if let Err(error) = patiently(|| batch().commit()) {
        fail!("a batch: {error}");
    }
    Key::UPDATERS.into_iter().for_each(Key::finish);
    call_all(2);
    update_visitor(&VISITOR_TARGETS);
    call_all(3);
    // SAFETY: _exit(2) does not return.
    unsafe { libc::_exit(0) }
}

fn wait_for(child: libc::pid_t) {
    let mut status = 0;
    // SAFETY: waitpid(2) writes the status.
    if unsafe { libc::waitpid(child, &raw mut status, 0) } != child {
        fail!("waitpid failed");
    }
    if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGALRM {
        fail!("a child hung");
    }
    if status != 0 {
        fail!("a child failed with wait status {status:#x}");
    }
}

fn signaller() -> Step {
    let mut turn = 0;
    Box::new(move |thread| {
        thread.is_doing(Doing::Signalling);
        // Every other signal interrupts the updater; the others interrupt threads that call or allocate.
        let others = turn / 2 % (READERS + 1);
        let to = &THREADS[match others {
            _ if turn % 2 == 1 => UPDATER,
            READERS => ALLOCATOR,
            reader => reader,
        }];
        turn += 1;
        let id = to.id.load(Relaxed) as libc::pthread_t;
        // SAFETY: the threads are joined after this one has ended.
        if id != 0 && !to.is_over.load(Relaxed) && unsafe { libc::pthread_kill(id, libc::SIGUSR1) } != 0 {
            fail!("pthread_kill failed");
        }
        sleep(100);
    })
}
