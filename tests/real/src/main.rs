//! What crates from crates.io do in a few nanoseconds: the originals, and the same with static calls.
//!
//! Each work load is a loop around a call of the original's (`original`, and `again` in a second copy of the
//! loop) and one around the converted crate's (`converted`). They take turns in random order. The results
//! have to be the same. The arguments are the number of rounds, and `sealed` if updates are to be refused
//! from the start. Prints nanoseconds for each round and loop.
//!
//! `refused PROGRAM ARGUMENTS…` runs a program that may neither make its code writable nor take
//! breakpoints.

use std::arch::asm;
use std::ffi::CString;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// The calls of each loop.
const CALLS: u32 = 1_000;

struct Loop {
    work: &'static str,
    form: &'static str,
    run: fn(&[u8]) -> u64,
    input: Vec<u8>,
}

/// `name` is the crate in the work load's expression.
macro_rules! work {
    ($loops:ident, $work:expr, $input:expr, $original:ident $converted:ident $name:ident, $call:expr) => {
        work!(@ $loops, $work, $input, "original", (originals::$original) $name, $call);
        work!(@ $loops, $work, $input, "again", (originals::$original) $name, $call);
        work!(@ $loops, $work, $input, "converted", ($converted) $name, $call);
    };
    (@ $loops:ident, $work:expr, $input:expr, $form:literal, ($($path:tt)+) $name:ident, $call:expr) => {{
        use $($path)+ as $name;
        #[inline(never)]
        fn run(input: &[u8]) -> u64 {
            let mut sum = 0;
            for _ in 0..CALLS {
                // The comment keeps the compiler from merging equal functions.
                // SAFETY: no instruction.
                unsafe { asm!(concat!("/* ", $form, " */"), options(nomem, nostack, preserves_flags)) }
                let call: fn(&[u8]) -> u64 = $call;
                sum += call(black_box(input));
            }
            sum
        }
        $loops.push(Loop { work: $work, form: $form, run, input: $input });
    }};
}

macro_rules! works {
    ($($work:literal, $input:expr, $original:ident $converted:ident $name:ident, $call:expr;)*) => {{
        let mut loops = Vec::new();
        $(work!(loops, $work, $input, $original $converted $name, $call);)*
        loops
    }};
}

/// A line of text of that length, whose last byte is its end.
fn line(length: usize) -> Vec<u8> {
    let mut text: Vec<u8> = (0..length).map(|at| b'a' + (at % 23) as u8).collect();
    text[length - 1] = b'\n';
    text
}

fn loops() -> Vec<Loop> {
    works! {
        "memchr, 16 bytes", line(16), memchr converted_memchr m,
            |text| m::memchr(b'\n', text).unwrap() as u64;
        "memchr, 128 bytes", line(128), memchr converted_memchr m,
            |text| m::memchr(b'\n', text).unwrap() as u64;
        "memchr2, 64 bytes", line(64), memchr converted_memchr m,
            |text| m::memchr2(b'\n', b'\r', text).unwrap() as u64;
        "log, debug! off", line(16), log converted_log l, |text| {
            l::debug!("{} bytes", text.len());
            text.len() as u64
        };
        "log, info! on", line(16), log converted_log l, |text| {
            l::info!("{} bytes", text.len());
            text.len() as u64
        };
        "crc32fast, 16 bytes", line(16), crc32fast converted_crc32fast c, |text| c::hash(text).into();
        "crc32fast, 64 bytes", line(64), crc32fast converted_crc32fast c, |text| c::hash(text).into();
        "crc32fast, 1 KiB", line(1024), crc32fast converted_crc32fast c, |text| c::hash(text).into();
        "simdutf8, 64 bytes", line(64), simdutf8 converted_simdutf8 s,
            |text| s::basic::from_utf8(text).unwrap().len() as u64;
        "simdutf8, 128 bytes", line(128), simdutf8 converted_simdutf8 s,
            |text| s::basic::from_utf8(text).unwrap().len() as u64;
        "simdutf8 compat, 128 bytes", line(128), simdutf8 converted_simdutf8 s,
            |text| s::compat::from_utf8(text).unwrap().len() as u64;
        "bytecount, 32 bytes", line(32), bytecount converted_bytecount b, |text| b::count(text, b'\n') as u64;
        "bytecount, 128 bytes", line(128), bytecount converted_bytecount b,
            |text| b::count(text, b'\n') as u64;
        "bytecount characters, 64 bytes", line(64), bytecount converted_bytecount b,
            |text| b::num_chars(text) as u64;
    }
}

/// Takes messages and does nothing with them.
struct Nothing;

/// The level of the last message.
static LAST: AtomicUsize = AtomicUsize::new(0);

macro_rules! take_messages {
    ($set_up:ident $($log:ident)::+) => {
        impl $($log)::+::Log for Nothing {
            fn enabled(&self, _: &$($log)::+::Metadata<'_>) -> bool {
                true
            }
            fn log(&self, record: &$($log)::+::Record<'_>) {
                LAST.store(record.level() as usize, Ordering::Relaxed);
            }
            fn flush(&self) {}
        }

        fn $set_up() {
            $($log)::+::set_logger(&Nothing).expect("no other logger");
            $($log)::+::set_max_level($($log)::+::LevelFilter::Info);
            $($log)::+::info!("heard");
            assert_eq!(LAST.swap(0, Ordering::Relaxed), $($log)::+::Level::Info as usize, "lost");
            $($log)::+::debug!("unheard");
            assert_eq!(LAST.load(Ordering::Relaxed), 0, "unwanted");
        }
    };
}

take_messages!(set_up_original originals::log);
take_messages!(set_up_converted converted_log);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some("refused") {
        run_refused(arguments.collect());
    }
    let rounds: usize = first.and_then(|rounds| rounds.parse().ok()).unwrap_or(100);
    if arguments.next().as_deref() == Some("sealed") {
        // Not everything is protected without the pass; no update works afterwards, all the same.
        let _ = static_call::seal();
    }
    set_up_original();
    set_up_converted();

    let mut loops = loops();
    let mut samples = Vec::new();
    let mut expected = std::collections::HashMap::new();
    for _ in 0..rounds {
        // Each loop inherits the previous one's caches and branch predictor.
        fastrand::shuffle(&mut loops);
        for &Loop { work, form, run, ref input } in &loops {
            let start = Instant::now();
            let sum = run(input);
            let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS);
            assert_eq!(sum, *expected.entry(work).or_insert(sum), "{work}: {form} computes something else");
            samples.push((work, form, nanoseconds));
        }
    }
    let process = static_call::process_info();
    println!("process/mode {}", static_call::mode() as u32);
    println!("process/sites {}", process.sites);
    println!("process/direct {}", process.direct);
    for (work, form, nanoseconds) in samples {
        println!("{work}/{form} {nanoseconds:.4}");
    }
}

fn run_refused(command: Vec<String>) -> ! {
    let words = command.iter().map(|word| CString::new(word.as_str()).expect("no zero in an argument"));
    let words: Vec<CString> = words.collect();
    let mut pointers: Vec<*const libc::c_char> = words.iter().map(|word| word.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: prctl(2) takes numbers, the set is initialized before it is used, and the pointers are those of
    // C strings with a null pointer behind them. (The standard library's `exec` would unblock the signal.)
    unsafe {
        assert_eq!(libc::prctl(65, 1, 0, 0, 0), 0, "PR_SET_MDWE needs Linux 6.3");
        let mut traps = std::mem::zeroed();
        libc::sigemptyset(&mut traps);
        libc::sigaddset(&mut traps, libc::SIGTRAP);
        assert_eq!(libc::sigprocmask(libc::SIG_BLOCK, &traps, std::ptr::null_mut()), 0);
        libc::execvp(pointers[0], pointers.as_ptr());
    }
    panic!("cannot run {command:?}: {}", std::io::Error::last_os_error());
}
