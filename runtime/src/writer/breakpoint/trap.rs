//! SIGTRAP: the signal that a thread gets at a breakpoint.
//!
//! Traps of our breakpoints are handled here; every other one goes to the handler that was there before us.
//! Our handler stays installed, since a thread may have hit a breakpoint of an update that is over by now. If
//! the program replaces it, the next update installs it over that replacement.
//!
//! A handler that was installed over ours may call it, or be replaced by it again. So the handler has many
//! entries (`entries.rs`), one for each action that it has replaced, and each knows which one that was.
//!
//! # Other copies of this runtime
//!
//! A process may have several (plugins with one each, other namespaces of the dynamic linker), which
//! recognize each other's entries. If the present action is another copy's, and that copy passes on to us
//! what it does not know, there is nothing to install. If the copy that an entry has replaced was unloaded,
//! the entry uses what that copy had replaced.

use core::ffi::{c_int, c_void};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicBool, Ordering};

use static_call_abi::Key;

use crate::arch::{Jumps, Kind, native};
use crate::change::State;
use crate::lock::Guard;
use crate::os::{self, Action, Mask, Refused, system_call, wait_until_handled, wait_until_taken};
use crate::page::Page;
use crate::sealed::{SEALED, Sealed};
use crate::writer::breakpoint::entries::{ENTRIES, Entries, FIRST, Replaced, Walk};
use crate::writer::breakpoint::replaced;
use crate::writer::table::{Table, TrapLookup};

pub(crate) const SIGNAL: c_int = libc::SIGTRAP;

/// The processor's number of the exception that `int3` raises (#BP: AMD64 APM volume 2, section 8.2.4).
const BREAKPOINT_EXCEPTION: libc::greg_t = 3;

#[cfg(target_arch = "x86_64")]
const REGISTERS: [c_int; 3] = [libc::REG_RSP, libc::REG_RIP, libc::REG_EFL];
#[cfg(target_arch = "x86")]
const REGISTERS: [c_int; 3] = [libc::REG_ESP, libc::REG_EIP, libc::REG_EFL];

type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// Where the slots are in [`SEALED`].
const SLOTS: usize = core::mem::offset_of!(Page<Sealed>, 0.breakpoints.trap.slots);

/// Entries whose action was for one signal only, and which has arrived. Handlers set it, even after the seal;
/// a stray write makes the next such signal end the process.
static IS_SPENT: [AtomicBool; ENTRIES] = [const { AtomicBool::new(false) }; ENTRIES];

static STATE: &replaced::State = &SEALED.0.breakpoints.trap;
static TABLE: &Table = &SEALED.0.breakpoints.table;

/// The entries of this copy.
fn ours() -> Entries {
    Entries::at(head as *const () as usize)
}

/// The action of our handler with one of its entries.
fn action(index: usize) -> Action {
    Action::ours(ours().entry(index), os::needs_restorer().then(|| ours().restorer()))
}

/// Makes ours the handler of SIGTRAP, unless another copy's handler already passes signals on to it.
pub(crate) fn install(lock: &Guard) -> Result<(), Refused> {
    STATE.looks.fetch_add(1, Ordering::Relaxed);
    let mut present = Action::of(SIGNAL)?;
    let entry = loop {
        if let Some(entry) = first_of_ours(present) {
            break entry;
        }
        let entry = entry_for(STATE.remember(present, ours(), None)?, lock);
        // SAFETY: the entry is one for SA_SIGINFO, and lives as long as this image.
        let before = unsafe { action(entry).replace(SIGNAL) }?;
        if before == present {
            break entry;
        }
        // Another thread has changed it meanwhile.
        present = before;
    };
    STATE.seen[entry].store(STATE.looks.load(Ordering::Relaxed), Ordering::Relaxed);
    Ok(())
}

/// The entry that this action is, or that other copies' entries lead to.
fn first_of_ours(mut action: Action) -> Option<usize> {
    let mut walk = Walk::default();
    loop {
        if let Some(index) = ours().index(action.handler) {
            return Some(index);
        }
        action = ours().replaced_by_other(action.handler)?;
        // Copies may lead to each other in a circle.
        if walk.is_circle(action.handler) {
            return None;
        }
    }
}

/// The entry that replaces this action.
fn entry_for(replaced: &'static Replaced, _lock: &Guard) -> usize {
    let replaced::State { slots, given, looks, seen, .. } = STATE;
    let replaced = core::ptr::from_ref(replaced).cast_mut();
    let known = slots.iter().position(|slot| slot.load(Ordering::Relaxed) == replaced);
    known.unwrap_or_else(|| {
        let index = match given.load(Ordering::Relaxed) {
            ENTRIES => {
                let now = looks.load(Ordering::Relaxed);
                let age = |&index: &usize| now.wrapping_sub(seen[index].load(Ordering::Relaxed));
                // The first one keeps what was there before us.
                (1..ENTRIES).max_by_key(age).unwrap_or(1)
            }
            free => {
                given.store(free + 1, Ordering::Relaxed);
                free
            }
        };
        slots[index].store(replaced, Ordering::Release);
        IS_SPENT[index].store(false, Ordering::Release);
        index
    })
}

/// Restores what was there before us, because this image is unloaded or the process ends; no breakpoint of
/// ours is left in the code. A later update installs our handler again. Returns whether nobody can call our
/// handler any more; one of the program's handlers that was installed over ours still can.
pub(crate) fn uninstall(lock: &Guard) -> bool {
    let given = STATE.given.load(Ordering::Relaxed);
    if given == 0 {
        return true;
    }
    // Refused if no file can be opened: then threads that met a breakpoint must have left it by now.
    let _ = wait_until_taken(SIGNAL);
    let Ok(present) = Action::of(SIGNAL) else { return false };
    let ours = ours().index(present.handler);
    // SAFETY: what was the signal's action.
    let is_put_back = ours.is_some_and(|index| unsafe { replaced_by(index).replace(SIGNAL) }.is_ok());
    let is_over = wait_until_handled(SIGNAL, Mask::all_but(SIGNAL).shown()) && is_put_back && given == 1;
    if is_over {
        STATE.given.store(0, Ordering::Relaxed);
        STATE.slots[0].store(null_mut(), Ordering::Relaxed);
        // SAFETY: what stood there before us is there again, no thread is in the handler, and no other
        // handler was installed over it.
        unsafe { STATE.free(lock) };
    }
    is_over
}

/// What an entry has replaced, or what is used in its place now.
fn replaced_by(index: usize) -> Action {
    if IS_SPENT[index].load(Ordering::Acquire) {
        return Action::DEFAULT;
    }
    // SAFETY: null, or what is freed when nobody can call our handler any more.
    let Some(mut replaced) = (unsafe { STATE.slots[index].load(Ordering::Acquire).as_ref() }) else {
        return Action::DEFAULT;
    };
    // SAFETY: as above.
    while let Some(instead) = unsafe { replaced.instead.as_ref() } {
        if ours().is_entry(replaced.action.handler) {
            break;
        }
        replaced = instead;
    }
    replaced.action
}

/// The handler, which an entry calls.
///
/// # Safety
///
/// The kernel calls an entry for SIGTRAP, or a handler that was installed over it does.
unsafe extern "C" fn handle(return_address: usize, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: what the kernel passes; positive codes are the kernel's own.
    let is_from_kernel = unsafe { (*info).si_code } > 0;
    // SAFETY: as above.
    let interrupted = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    // Single steps, hardware breakpoints and perf's signals are another exception.
    let is_breakpoint =
        is_from_kernel && interrupted.uc_mcontext.gregs[libc::REG_TRAPNO as usize] == BREAKPOINT_EXCEPTION;
    // SAFETY: this is the interrupted thread.
    if !is_breakpoint || !unsafe { answer(interrupted, info) } {
        // SAFETY: what the kernel has passed.
        unsafe { pass_on(ours().index_of_caller(return_address), info, context) };
    }
}

/// Does what the instruction under one of our breakpoints does.
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
    let (key, kind, jump) = match unsafe { look_up(pc) } {
        TrapLookup::Foreign => return false,
        TrapLookup::Gone => {
            registers[rip] = pc as libc::greg_t;
            return true;
        }
        TrapLookup::Ours(key, kind, jump) => (key, kind, jump),
    };
    // SAFETY: a registered image calls this key: this thread is running it.
    let key = unsafe { &*key };
    let target = key.target.load(Ordering::Acquire).addr();
    let next = pc + native::length(kind);
    let target = match kind {
        Kind::ConditionalJump(condition) if !native::holds(condition, registers[flags] as u64) => next,
        Kind::ConditionalJump(_) | Kind::Jump => target,
        Kind::StaticBranch(jumps) => way(jumps, key, jump, next),
        // SAFETY: the caller's promise.
        Kind::Call => unsafe { call(interrupted, info, next, target) },
    };
    interrupted.uc_mcontext.gregs[rip] = target as libc::greg_t;
    true
}

/// Where a static branch goes, without its instruction.
fn way(jumps: Jumps, key: &Key, jump: usize, next: usize) -> usize {
    if jumps.jumps(State::of(key).is_on(key)) { jump } else { next }
}

/// Pushes the return address of a call. Returns where the thread continues.
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

/// Without a red zone the signal's frame may begin right where the return address goes. So the address is
/// pushed once the frame is gone: by [`push`], which finds it where the signal's information was. The kernel
/// does not read that again, and while the stack pointer points there, no other signal's frame overwrites it.
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
        // SAFETY: the call instruction would write its return address there, too; the frame is on another
        // stack.
        unsafe { (registers[esp] as *mut usize).write(next) };
        return target;
    }
    let top = (registers[esp] as usize).wrapping_sub(2 * size_of::<usize>());
    // SAFETY: it has room for 128 bytes, and our caller may still read the first three numbers.
    unsafe {
        let pushed = info.cast::<usize>().add(3);
        pushed.cast::<[usize; 3]>().write([top, target, next]);
        registers[esp] = pushed.addr() as libc::greg_t;
    }
    push as *const () as usize
}

/// Moves target and return address to the stack of the call, and jumps. The stack pointer points at what
/// [`call`] has written. Only eax changes, which is free at every site: trampolines change it as well.
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
    // A byte of the same page. This does not ask how large pages are: the stack may be small, see
    // `Writer::Breakpoint`.
    const PAGE: usize = 4096;
    let is_first_of_page = pc.is_multiple_of(PAGE);
    // SAFETY: the page is mapped.
    !is_first_of_page && unsafe { (pc.wrapping_sub(1) as *const [u8; 2]).read_volatile() } == INT_3
}

/// A visit of one of our entries, or of another copy's: handlers that were installed over each other may form
/// a circle. The visits of one signal are a list. Its head is at the end of the signal's information, which
/// the kernel does not use, and the field `si_errno`, which the kernel leaves zero, says whether there is a
/// list. Copies share it.
#[repr(C)]
struct Visit {
    entry: usize,
    outer: *const Self,
}

impl Visit {
    const IS_THERE: c_int = 0x5343;

    /// Where the list is.
    ///
    /// # Safety
    ///
    /// What the kernel has passed to a handler.
    unsafe fn head(info: *mut libc::siginfo_t) -> (*mut c_int, *mut *const Self) {
        // SAFETY: the last word.
        unsafe { (&raw mut (*info).si_errno, info.add(1).cast::<*const Self>().sub(1)) }
    }

    /// How often this entry is in the list already.
    fn count(&self) -> usize {
        let mut count = 0;
        let mut next = self.outer;
        // SAFETY: visits that are under way, so that they are on the stack.
        while let Some(visit) = unsafe { next.as_ref() } {
            count += usize::from(visit.entry == self.entry);
            next = visit.outer;
        }
        count
    }
}

/// Passes a signal on to the handler that the entry replaced, as the kernel would.
///
/// # Safety
///
/// What the kernel has passed to the handler.
#[cold]
#[inline(never)]
unsafe fn pass_on(index: usize, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: as above.
    let (is_there, head) = unsafe { Visit::head(info) };
    // SAFETY: as above.
    let before = unsafe { (*is_there, *head) };
    let outer = if before.0 == Visit::IS_THERE { before.1 } else { null() };
    let visit = Visit { entry: ours().entry(index), outer };
    let replaced = match visit.count() {
        0 => replaced_by(index),
        // A circle: use what was there before all copies.
        1 => replaced_by(0),
        _ => Action::DEFAULT,
    };
    if replaced.flags & libc::SA_RESETHAND as core::ffi::c_ulong != 0 {
        IS_SPENT[index].store(true, Ordering::Release);
    }
    // SAFETY: the field is as large as a set of the kernel's, or larger. The context has the thread's own
    // mask, without SIGTRAP: a handler that we call may meet breakpoints itself.
    unsafe { &*(&raw const (*context.cast::<libc::ucontext_t>()).uc_sigmask).cast::<Mask>() }
        .apply(libc::SIG_SETMASK);
    // SAFETY: as above; the visit outlives the call.
    unsafe {
        (*is_there, *head) = (Visit::IS_THERE, &raw const visit);
        run(&replaced, info, context);
        (*is_there, *head) = before;
    }
}

/// Does what the kernel would do for this action.
///
/// # Safety
///
/// It was the signal's action, and the rest is what the kernel has passed.
unsafe fn run(action: &Action, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: what the kernel has passed.
    let is_from_kernel = unsafe { (*info).si_code } > 0;
    match action.handler {
        libc::SIG_IGN if !is_from_kernel => {}
        // The kernel does not let a process ignore a trap, either.
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: the default action ends the process.
            unsafe {
                let _ = Action::DEFAULT.replace(SIGNAL);
                Mask::only(SIGNAL).apply(libc::SIG_UNBLOCK);
                let process = system_call(libc::SYS_getpid, []).unwrap_or(0);
                let thread = system_call(libc::SYS_gettid, []).unwrap_or(0);
                let _ = system_call(libc::SYS_tgkill, [process, thread, SIGNAL as usize]);
            }
        }
        handler => {
            // What the program has asked for; the thread's own mask comes back when our handler returns.
            action.mask.apply(libc::SIG_BLOCK);
            if action.flags & libc::SA_SIGINFO as core::ffi::c_ulong != 0 {
                // SAFETY: an action with SA_SIGINFO has such a handler.
                let handler: Handler = unsafe { core::mem::transmute(handler) };
                // SAFETY: what the kernel has passed to us.
                unsafe { handler(SIGNAL, info, context) };
            } else {
                // SAFETY: an action without it has such a handler.
                let handler: extern "C" fn(c_int) = unsafe { core::mem::transmute(handler) };
                handler(SIGNAL);
            }
        }
    }
}

/// Looks up the breakpoint at `pc`. Takes no lock, for the signal handler.
///
/// # Safety
///
/// This thread was stopped by a breakpoint instruction at `pc`.
unsafe fn look_up(pc: usize) -> TrapLookup {
    let mut spin = 0;
    loop {
        // SAFETY: the byte was executed.
        let is_breakpoint = || unsafe { (pc as *const u8).read_volatile() } == native::BREAKPOINT;
        match TABLE.find(pc, is_breakpoint) {
            Some(found) => return found,
            None => spin += 1,
        }
        debug_assert!(spin < 1_000_000, "updates follow each other too fast");
    }
}

/// What differs between the two machines in [`head`].
#[cfg(target_arch = "x86_64")]
macro_rules! text {
    (slots) => {
        ".quad {sealed} + {slots} - ."
    };
    // mov $15, %rax; syscall
    (restorer) => {
        ".byte 0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05"
    };
    (landing pad) => {
        "endbr64"
    };
    (argument) => {
        "pop rdi"
    };
}
#[cfg(target_arch = "x86")]
macro_rules! text {
    (slots) => {
        ".long {sealed} + {slots} - ., 0"
    };
    // mov $173, %eax; int $0x80
    (restorer) => {
        ".byte 0xb8, 0xad, 0x00, 0x00, 0x00, 0xcd, 0x80"
    };
    (landing pad) => {
        "endbr32"
    };
    (argument) => {
        "pop eax; mov [esp + 4], eax"
    };
}

/// The mark, where the slots are, what returns from the handler, and the entries.
///
/// An entry passes its own address instead of the signal's number, which is always the same. The code that
/// returns from the handler has exactly the bytes by which unwinders recognize a signal frame (libgcc's
/// `linux-unwind.h`, libunwind, gdb). It has no unwind table, and neither has the byte before it, which they
/// look up.
#[unsafe(naked)]
unsafe extern "C" fn head() {
    core::arch::naked_asm!(
        "3: .ascii \"static-call int\\001\"",
        text!(slots),
        "nop",
        text!(restorer),
        ".skip {first} - (. - 3b), 0xcc",
        ".set .Lstatic_call_index, 0",
        ".rept {entries}",
        text!(landing pad),
        ".byte 0xe8",
        ".long 2f - . - 4",
        ".byte .Lstatic_call_index",
        ".skip 6, 0xcc",
        ".set .Lstatic_call_index, .Lstatic_call_index + 1",
        ".endr",
        "2:",
        text!(argument),
        "jmp {handle}",
        sealed = sym SEALED,
        slots = const SLOTS,
        first = const FIRST,
        entries = const ENTRIES,
        handle = sym handle,
    )
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;
    use core::ptr::{null, without_provenance};

    use static_call_abi::Form;

    use super::*;

    /// Copies of other versions read the head of the entries, and share the list of visits.
    #[test]
    fn what_other_copies_read_stays_as_it_is() {
        let start = (head as *const ()).cast::<u8>();
        // SAFETY: our own code, which is as long.
        let code = |at: usize| unsafe { start.add(at).cast::<[u8; 16]>().read() };
        assert_eq!(&code(0), b"static-call int\x01");
        let slots = i32::from_ne_bytes(*code(16).first_chunk().expect("four bytes"));
        let slots = start.addr().wrapping_add(16).wrapping_add_signed(slots as isize);
        assert_eq!(slots, STATE.slots.as_ptr().addr());
        for (index, at) in [(0, 48), (1, 64), (63, 1056)] {
            let entry = code(at);
            let landing_pad = if cfg!(target_arch = "x86") { 0xfb } else { 0xfa };
            assert_eq!(entry[..5], [0xf3, 0x0f, 0x1e, landing_pad, 0xe8]);
            assert_eq!((entry[9], ours().entry(index)), (index as u8, start.addr() + at));
        }
        let restorer = if cfg!(target_arch = "x86") { [0xb8, 0xad, 0, 0] } else { [0x48, 0xc7, 0xc0, 0x0f] };
        assert_eq!((&code(25)[..4], ours().restorer()), (&restorer[..], start.addr() + 25));

        let word = size_of::<usize>();
        assert_eq!(Visit::IS_THERE, 0x5343);
        assert_eq!(
            (offset_of!(Visit, entry), offset_of!(Visit, outer), size_of::<Visit>()),
            (0, word, 2 * word)
        );
        let mut info = core::mem::MaybeUninit::<libc::siginfo_t>::uninit();
        // SAFETY: only addresses.
        let (is_there, list) = unsafe { Visit::head(info.as_mut_ptr()) };
        let info = info.as_ptr().addr();
        assert_eq!((is_there.addr() - info, list.addr() - info), (4, 128 - word));
    }

    /// During an update both ways are right, so only this sees a wrong one.
    #[test]
    fn a_trapped_branch_goes_where_its_key_says() {
        let (on, off) = (Key::branch(true, null()), Key::branch(false, null()));
        let nothing = without_provenance(16);
        let none = Key::with_off(nothing, Form::Nop, nothing, Form::Nop, null());
        let some = Key::with_off(without_provenance(32), Form::Call, nothing, Form::Nop, null());
        for (key, is_on) in [(&on, true), (&off, false), (&some, true), (&none, false)] {
            let (taken, not_taken) = if is_on { (1, 2) } else { (2, 1) };
            assert_eq!(way(Jumps::WhenOn, key, 1, 2), taken);
            assert_eq!(way(Jumps::WhenOff, key, 1, 2), not_taken);
        }
    }
}
