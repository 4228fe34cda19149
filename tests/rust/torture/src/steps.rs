//! What the threads do.

use std::ffi::{CStr, CString, c_int};
use std::process::Command;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use static_call::Batch;

use crate::keys::{Answer, Key, TARGETS, Targets, VISITOR_TARGETS, call_all, settle, update_visitor};
use crate::threads::{COUNTS, Doing, READERS, THREADS, Thread, UPDATER, fail, set_name};

/// After which time a child counts as hung, in seconds.
const CHILD_STUCK_AFTER: u32 = 30;

type Step = Box<dyn FnMut(&'static Thread)>;

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

pub fn reader(number: u64) -> Step {
    let mut argument = 0u64;
    Box::new(move |_| {
        argument += 0x10001;
        COUNTS.calls.fetch_add(call_all((argument << 3 | number) & 0xff_ffff_ffff), Relaxed);
    })
}

pub fn updater() -> Step {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    Box::new(move |thread| {
        let first = random.below(4) as usize;
        match random.below(8) {
            0 => update_several::<2>(thread, first, &mut random),
            1 => update_several::<4>(thread, first, &mut random),
            _ => {
                thread.is_doing(Doing::UpdatingOne);
                Key::UPDATERS[first].update(random.below(3) == 0);
            }
        }
        if random.below(8) == 0 {
            // What has settled is looked at, too; and others get at the lock.
            thread.is_doing(Doing::Sleeping);
            sleep(random.below(200));
        }
    })
}

/// A batch of some of the updater's keys.
fn update_several<const N: usize>(thread: &Thread, first: usize, random: &mut Random) {
    thread.is_doing(Doing::UpdatingSeveral);
    let key = |index| Key::UPDATERS[(first + index) % Key::UPDATERS.len()];
    let batch = Batch::new(std::array::from_fn::<_, N, _>(|index| key(index).next(random.below(3) == 0)));
    if let Err(error) = batch.commit() {
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
        // SAFETY: the types of torture.h; nothing of it is used after the plugin is unloaded.
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

pub fn loader() -> Step {
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
                if (plugin.update_own)(number) != 0 {
                    fail!("the plugin could not update its key");
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

/// Has all threads that call end the calls that they are in.
fn wait_for_callers() {
    for caller in &THREADS[..=UPDATER] {
        let steps = caller.steps.load(Relaxed);
        while caller.steps.load(Relaxed) == steps && !caller.is_over.load(Relaxed) {
            sleep(100);
        }
    }
}

pub fn forker() -> Step {
    let mut turn = 0u64;
    Box::new(move |thread| {
        if turn % 4 == 3 {
            // By posix_spawn(3): until it has a memory of its own the child runs in ours.
            thread.is_doing(Doing::Spawning);
            match Command::new("/bin/true").status() {
                Ok(status) if status.success() => {}
                other => fail!("a spawned program: {other:?}"),
            }
        } else {
            thread.is_doing(Doing::Forking);
            // SAFETY: the child neither allocates nor takes a lock but the runtime's.
            match unsafe { libc::fork() } {
                0 => in_child(),
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

/// A child has only this thread: no update is half made, and the lock is free.
fn in_child() -> ! {
    set_name("a child");
    // SAFETY: alarm(2) takes a number.
    unsafe { libc::alarm(CHILD_STUCK_AFTER) };
    settle();
    call_all(0);
    for (index, key) in Key::UPDATERS.into_iter().enumerate() {
        key.update(index.is_multiple_of(2));
    }
    call_all(1);
    let mut far = true;
    let batch = Key::UPDATERS.map(|key| {
        far = !far;
        key.next(far)
    });
    if let Err(error) = Batch::new(batch).commit() {
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

pub fn signaller() -> Step {
    let mut turn = 0;
    Box::new(move |thread| {
        thread.is_doing(Doing::Signalling);
        // Every other one interrupts the updater, the rest those that call.
        let to = &THREADS[if turn % 2 == 1 { UPDATER } else { turn / 2 % READERS }];
        turn += 1;
        let id = to.id.load(Relaxed) as libc::pthread_t;
        // SAFETY: threads are joined after this one has ended.
        if id != 0 && !to.is_over.load(Relaxed) && unsafe { libc::pthread_kill(id, libc::SIGUSR1) } != 0 {
            fail!("pthread_kill failed");
        }
        sleep(100);
    })
}
