//! Signal handlers.

use std::ffi::{c_int, c_void};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use static_call::ErrorKind;

use crate::keys::{Key, call_all, handler_key, update_handler};
use crate::threads::{COUNTS, fail};

/// Installs the handlers. SIGTRAP is neither handled nor blocked.
pub fn install() {
    set(libc::SIGUSR1, handle as *const () as usize, libc::SA_RESTART);
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL] {
        set(signal, crashed as *const () as usize, libc::SA_SIGINFO);
    }
}

fn set(signal: c_int, handler: usize, flags: c_int) {
    // SAFETY: zero is a valid action. It then gets a function of the type that `flags` asks for.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut())
    };
    if result != 0 {
        fail!("sigaction failed");
    }
}

/// Calls, and updates a key that only handlers update, one handler at a time.
extern "C" fn handle(_: c_int) {
    static IS_UPDATING: AtomicBool = AtomicBool::new(false);
    // SAFETY: errno's address is valid as long as the thread runs.
    let errno = || unsafe { *libc::__errno_location() };
    let before = errno();
    COUNTS.calls.fetch_add(call_all(5), Relaxed);
    if !IS_UPDATING.swap(true, Acquire) {
        match update_handler(Key::Handler.begin()) {
            Ok(()) => Key::Handler.finish(),
            Err(error) if error.kind() == ErrorKind::Reentrant => {
                COUNTS.busy.fetch_add(1, Relaxed);
            }
            Err(error) => fail!("an update in a signal handler: {error}"),
        }
        // No other thread updates meanwhile: either the update was made, or nothing has changed.
        let now = Key::Handler.finished();
        Key::Handler.check("a handler's call", 6, handler_key.call(6), now, now);
        IS_UPDATING.store(false, Release);
    }
    COUNTS.signals.fetch_add(1, Relaxed);
    if errno() != before {
        fail!("a signal handler's calls and updates changed errno");
    }
}

/// `<asm/ptrace.h>`
#[cfg(target_arch = "powerpc64")]
const PT_NIP: usize = 32;

/// A thread executed half an instruction, or one with a wrong destination.
extern "C" fn crashed(signal: c_int, info: *const libc::siginfo_t, context: *const c_void) {
    // SAFETY: the kernel passes both to a handler with SA_SIGINFO.
    let (address, at) = unsafe {
        let registers = &(*context.cast::<libc::ucontext_t>()).uc_mcontext;
        #[cfg(target_arch = "x86_64")]
        let at = registers.gregs[libc::REG_RIP as usize];
        #[cfg(target_arch = "x86")]
        let at = registers.gregs[libc::REG_EIP as usize];
        #[cfg(target_arch = "aarch64")]
        let at = registers.pc;
        #[cfg(target_arch = "arm")]
        let at = registers.arm_pc;
        #[cfg(target_arch = "riscv64")]
        let at = registers.__gregs[libc::REG_PC];
        #[cfg(target_arch = "s390x")]
        let at = registers.psw.addr;
        #[cfg(target_arch = "loongarch64")]
        let at = registers.__pc;
        #[cfg(target_arch = "powerpc64")]
        let at = registers.gp_regs[PT_NIP];
        ((*info).si_addr(), at)
    };
    fail!("CRASHED by signal {signal} at instruction {at:#x}, address {address:p}");
}
