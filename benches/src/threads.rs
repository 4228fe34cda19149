//! What programs with two threads share: a processor for each, whether the scheduler has taken it, and two
//! targets that take the same time.

#[inline(never)]
pub(crate) fn one(word: u64) -> u64 {
    word.rotate_left(5) ^ 0x9e37_79b9
}

#[inline(never)]
pub(crate) fn other(word: u64) -> u64 {
    word.rotate_left(7) ^ 0x7f4a_7c15
}

/// How often the scheduler has preempted this thread.
pub(crate) fn times_interrupted() -> i64 {
    // SAFETY: all zeros are a value, and getrusage(2) writes another one.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage), 0);
        usage.ru_nivcsw
    }
}

/// Binds this thread to the n-th of the processors that we may use.
pub(crate) fn stay_on(number: usize) {
    // SAFETY: all zeros are a set of processors; the calls read and write it, and know its size.
    unsafe {
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        assert_eq!(libc::sched_getaffinity(0, size_of_val(&allowed), &raw mut allowed), 0);
        let mut processors =
            (0..libc::CPU_SETSIZE as usize).filter(|&processor| libc::CPU_ISSET(processor, &allowed));
        let processor = processors.nth(number).expect("two processors: one to call, one to update");
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
    }
}
