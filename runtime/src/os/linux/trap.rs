//! SIGTRAP: what a thread gets that runs into a breakpoint.
//!
//! Ours are answered here; every other trap goes to the handler that was there before us. The handler stays
//! installed, since a thread may have met a breakpoint of an update that is over by now; and if the program
//! has put another one in its place, the next update puts ours before that one.

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::{Refused, checked};
use crate::arch::{Kind, native};
use crate::lock::Guard;
use crate::writer::breakpoint::{self, Met};

pub(crate) const SIGNAL: c_int = libc::SIGTRAP;

/// The processor's number of the exception that `int3` raises (#BP: AMD64 APM volume 2, section 8.2.4).
const BREAKPOINT_EXCEPTION: libc::greg_t = 3;

#[cfg(target_arch = "x86_64")]
const REGISTERS: [c_int; 3] = [libc::REG_RSP, libc::REG_RIP, libc::REG_EFL];
#[cfg(target_arch = "x86")]
const REGISTERS: [c_int; 3] = [libc::REG_ESP, libc::REG_EIP, libc::REG_EFL];

type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// One for each time that the program may replace us: a handler that was installed over ours may call it.
/// So each knows what it replaced, and none calls itself.
const HANDLERS: [Handler; 16] = [
    handle::<0>,
    handle::<1>,
    handle::<2>,
    handle::<3>,
    handle::<4>,
    handle::<5>,
    handle::<6>,
    handle::<7>,
    handle::<8>,
    handle::<9>,
    handle::<10>,
    handle::<11>,
    handle::<12>,
    handle::<13>,
    handle::<14>,
    handle::<15>,
];

struct Previous(UnsafeCell<MaybeUninit<libc::sigaction>>);

// SAFETY: written once, under the lock and before its handler is installed; then only read.
unsafe impl Sync for Previous {}

static PREVIOUS: [Previous; HANDLERS.len()] =
    [const { Previous(UnsafeCell::new(MaybeUninit::zeroed())) }; HANDLERS.len()];

/// How many of them were installed.
static INSTALLED: AtomicUsize = AtomicUsize::new(0);

/// Sees to it that ours is the handler of SIGTRAP.
pub(crate) fn install(_lock: &Guard) -> Result<(), Refused> {
    let mut present = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: sigaction(2) writes the present action.
    checked(|| unsafe { libc::sigaction(SIGNAL, core::ptr::null(), present.as_mut_ptr()).into() })?;
    // SAFETY: written above; all zeros are valid, too.
    let present = unsafe { present.assume_init() };
    let installed = INSTALLED.load(Ordering::Relaxed);
    // The last one, or an earlier one that the program has put back.
    if is_ours(&present) {
        return Ok(());
    }
    // One that we have replaced before has its handler already.
    let known = (0..installed).find(|&index| {
        // SAFETY: written before its handler was installed.
        let previous = unsafe { (*PREVIOUS[index].0.get()).assume_init_ref() };
        previous.sa_sigaction == present.sa_sigaction && previous.sa_flags == present.sa_flags
    });
    let index = known.unwrap_or(installed);
    let Some(&handler) = HANDLERS.get(index) else { return Err(Refused(libc::EBUSY)) };
    if index == installed {
        // SAFETY: this one was not written yet, and nobody reads it.
        unsafe { (*PREVIOUS[index].0.get()).write(present) };
        INSTALLED.store(installed + 1, Ordering::Relaxed);
    }
    // SAFETY: all zeros are an action.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler as usize;
    // On the alternate stack, if the thread has one. Nothing may interrupt the handler there: another one
    // that is not for the alternate stack would go on on this one, which may be small. But SIGTRAP itself is not
    // blocked, so that no update takes this thread for one that cannot take a breakpoint.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART | libc::SA_NODEFER;
    // SAFETY: fills the set, but for one signal.
    unsafe {
        libc::sigfillset(&raw mut action.sa_mask);
        libc::sigdelset(&raw mut action.sa_mask, SIGNAL);
    }
    // SAFETY: the handler is one for SA_SIGINFO, and lives as long as this image.
    checked(|| unsafe { libc::sigaction(SIGNAL, &raw const action, core::ptr::null_mut()).into() })
}

fn is_ours(action: &libc::sigaction) -> bool {
    HANDLERS.iter().any(|&handler| action.sa_sigaction == handler as usize)
}

/// Puts back what was there before us, since this image goes away, or the process ends. An update that comes
/// all the same installs ours again.
pub(crate) fn uninstall() {
    let mut present = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: sigaction(2) writes the present action, or leaves zeros, which are an action as well.
    let present = unsafe {
        libc::sigaction(SIGNAL, core::ptr::null(), present.as_mut_ptr());
        present.assume_init()
    };
    if is_ours(&present) {
        // SAFETY: written before the first of our handlers was installed.
        unsafe { libc::sigaction(SIGNAL, (*PREVIOUS[0].0.get()).as_ptr(), core::ptr::null_mut()) };
    }
}

/// # Safety
///
/// The kernel calls this for SIGTRAP, or a handler that was installed over it does.
unsafe extern "C" fn handle<const N: usize>(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: what the kernel passes; positive codes are the kernel's own.
    let is_from_kernel = unsafe { (*info).si_code } > 0;
    // SAFETY: as above.
    let interrupted = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    // Single steps, hardware breakpoints and perf's signals are another exception.
    let is_breakpoint =
        is_from_kernel && interrupted.uc_mcontext.gregs[libc::REG_TRAPNO as usize] == BREAKPOINT_EXCEPTION;
    // SAFETY: this is the interrupted thread.
    if is_breakpoint && unsafe { answer(interrupted, info) } {
        return;
    }
    // SAFETY: written before this handler was installed.
    let previous = unsafe { (*PREVIOUS[N].0.get()).assume_init_ref() };
    // SAFETY: the kernel's context has the thread's own mask. SIGTRAP is not in it: a handler that we call may
    // meet breakpoints itself.
    unsafe {
        let mask = &raw const (*context.cast::<libc::ucontext_t>()).uc_sigmask;
        libc::pthread_sigmask(libc::SIG_SETMASK, mask, core::ptr::null_mut());
    }
    // Handlers that were installed over each other may go round in a circle. Linux leaves this field zero.
    // SAFETY: what the kernel passes.
    let visited = unsafe { &mut (*info).si_errno };
    let (before, this) = (*visited, 1 << N);
    *visited |= this;
    let is_circle = before & this != 0;
    // SAFETY: as the kernel would do it.
    unsafe { pass_on(previous, is_from_kernel, is_circle, signal, info, context) };
    // SAFETY: as above.
    unsafe { (*info).si_errno = before };
}

/// Does what the instruction does that a breakpoint of ours stands for.
///
/// # Safety
///
/// What the kernel has passed to the handler of a trap on this thread.
unsafe fn answer(interrupted: &mut libc::ucontext_t, info: *mut libc::siginfo_t) -> bool {
    let [_, rip, flags] = REGISTERS.map(|register| register as usize);
    let registers = &mut interrupted.uc_mcontext.gregs;
    // The breakpoint was executed.
    let pc = (registers[rip] as usize).wrapping_sub(1);
    // SAFETY: it was just executed. (The two-byte form `int $3` also stops with a byte before rip that is no
    // breakpoint any more; it has an opcode of its own.)
    if unsafe { is_two_byte_form(pc) } {
        return false;
    }
    // SAFETY: as above.
    let (key, kind) = match unsafe { breakpoint::meet(pc) } {
        Met::Foreign => return false,
        Met::Gone => {
            registers[rip] = pc as libc::greg_t;
            return true;
        }
        Met::Ours(key, kind) => (key, kind),
    };
    // SAFETY: a registered image calls this key: this thread is running it.
    let target = unsafe { (*key).target.load(Ordering::Acquire) }.addr();
    let next = pc + native::length(kind);
    let target = match kind {
        Kind::ConditionalJump(condition) if !native::holds(condition, registers[flags] as u64) => next,
        Kind::ConditionalJump(_) | Kind::Jump => target,
        // SAFETY: the caller's promise.
        Kind::Call => unsafe { call(interrupted, info, next, target) },
    };
    interrupted.uc_mcontext.gregs[rip] = target as libc::greg_t;
    true
}

/// Pushes the return address of a call; where the thread goes on.
///
/// # Safety
///
/// As for [`answer`].
#[cfg(target_arch = "x86_64")]
unsafe fn call(
    interrupted: &mut libc::ucontext_t,
    _info: *mut libc::siginfo_t,
    next: usize,
    target: usize,
) -> usize {
    let [rsp, ..] = REGISTERS.map(|register| register as usize);
    let registers = &mut interrupted.uc_mcontext.gregs;
    registers[rsp] -= size_of::<usize>() as libc::greg_t;
    // SAFETY: the call instruction would write its return address there, too; the kernel has put
    // this signal's frame below the red zone.
    unsafe { (registers[rsp] as *mut usize).write(next) };
    target
}

/// Without a red zone the signal's frame may begin right where the return address goes. So that one is pushed when
/// the frame is gone: by [`push`], which finds it in what was the signal's information. The kernel does not look
/// at that again, and while the stack pointer points there no other signal's frame comes over it.
#[cfg(target_arch = "x86")]
unsafe fn call(
    interrupted: &mut libc::ucontext_t,
    info: *mut libc::siginfo_t,
    next: usize,
    target: usize,
) -> usize {
    let [esp, ..] = REGISTERS.map(|register| register as usize);
    let registers = &mut interrupted.uc_mcontext.gregs;
    let stack = interrupted.uc_stack;
    let is_on_alternate = |address: usize| address.wrapping_sub(stack.ss_sp.addr()) < stack.ss_size;
    if is_on_alternate(info.addr()) && !is_on_alternate(registers[esp] as usize) {
        registers[esp] -= size_of::<usize>() as libc::greg_t;
        // SAFETY: the call instruction would write its return address there, too; the frame is on another stack.
        unsafe { (registers[esp] as *mut usize).write(next) };
        return target;
    }
    let top = (registers[esp] as usize).wrapping_sub(2 * size_of::<usize>());
    // SAFETY: it has room for 128 bytes, and whoever called us may still look at the first three numbers.
    unsafe {
        let pushed = info.cast::<usize>().add(3);
        pushed.cast::<[usize; 3]>().write([top, target, next]);
        registers[esp] = pushed.addr() as libc::greg_t;
    }
    push as *const () as usize
}

/// Moves target and return address to the stack of the call, and jumps. The stack pointer points at what [`call`]
/// has written. Only eax changes, which is free at every site: trampolines change it as well.
#[cfg(target_arch = "x86")]
#[unsafe(naked)]
unsafe extern "C" fn push() {
    core::arch::naked_asm!(
        "pop eax",
        "pop dword ptr [eax]",
        "pop dword ptr [eax + 4]",
        "mov esp, eax",
        "ret"
    );
}

/// Whether the trap came from `CD 03`, whose second byte is at `pc`. No code of ours has it.
///
/// # Safety
///
/// The byte at `pc` was executed.
unsafe fn is_two_byte_form(pc: usize) -> bool {
    const INT_3: [u8; 2] = [0xcd, 0x03];
    // A byte of the same page.
    let is_first_of_page = pc.is_multiple_of(super::page_size());
    // SAFETY: the page is mapped.
    !is_first_of_page && unsafe { (pc.wrapping_sub(1) as *const [u8; 2]).read_volatile() } == INT_3
}

/// Hands a signal on, as the kernel would have.
///
/// # Safety
///
/// `previous` was the signal's action, and the rest is what the kernel has passed.
unsafe fn pass_on(
    previous: &libc::sigaction,
    is_from_kernel: bool,
    is_circle: bool,
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
) {
    let handler = if is_circle { libc::SIG_DFL } else { previous.sa_sigaction };
    match handler {
        libc::SIG_IGN if !is_from_kernel => {}
        // The kernel does not let a trap be ignored, either.
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: the default action ends the process.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                libc::raise(signal);
            }
        }
        handler => {
            // SAFETY: the mask that the program has asked for; the kernel restores the thread's own when
            // our handler returns.
            unsafe {
                libc::pthread_sigmask(libc::SIG_BLOCK, &raw const previous.sa_mask, core::ptr::null_mut())
            };
            if previous.sa_flags & libc::SA_SIGINFO != 0 {
                // SAFETY: an action with SA_SIGINFO has such a handler.
                let handler: Handler = unsafe { core::mem::transmute(handler) };
                // SAFETY: what the kernel has passed to us.
                unsafe { handler(signal, info, context) };
            } else {
                // SAFETY: an action without it has such a handler.
                let handler: extern "C" fn(c_int) = unsafe { core::mem::transmute(handler) };
                handler(signal);
            }
        }
    }
}
