//! Dispatched functions. The argument says how the first call comes; the program checks itself, and says
//! what was chosen.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};

use static_call::registry::{self, Entry, State};

mod numbers {
    static_call::dispatch! {
        /// `number` and the variant that was chosen. A parameter may have the function's name.
        pub fn chosen(chosen: u32) -> u32 {
            #[cfg(target_arch = "x86_64")] // no processor since 2017 has it
            "sse2,tbm" => variants::by_absent,
            #[cfg(target_arch = "x86_64")]
            "popcnt,sse4.2" => variants::by_features,
            #[cfg(target_arch = "aarch64")]
            "crc" => variants::by_features,
            _ => variants::by_default,
        }

        /// Its variants are `unsafe`, as those are that intrinsics were written for before Rust 1.86.
        pub fn declared_safe(number: u32) -> u32 {
            #[cfg(target_arch = "x86_64")]
            "sse4.2" => unsafe variants::dangerous,
            #[cfg(target_arch = "aarch64")]
            "crc" => unsafe variants::dangerous,
            _ => unsafe variants::dangerous_default,
        }

        fn other<'a>(text: &'a str, _other: &str,) -> &'a str {
            #[cfg(target_arch = "x86_64")]
            "sse4.2" => other_first,
            #[cfg(target_arch = "aarch64")]
            "crc" => other_first,
            _ => other_second,
        }

        pub fn nothing() {
            #[cfg(target_arch = "x86_64")]
            "popcnt" => variants::nothing,
            _ => variants::nothing,
        }
    }

    #[inline(never)]
    pub fn call_other() -> &'static str {
        other("text", "other")
    }

    fn other_first<'a>(text: &'a str, _: &str) -> &'a str {
        &text[..1]
    }
    fn other_second<'a>(text: &'a str, _: &str) -> &'a str {
        &text[1..]
    }

    pub mod variants {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "tbm")]
        #[inline(never)]
        pub fn by_absent(number: u32) -> u32 {
            number + 3
        }
        #[cfg_attr(target_arch = "x86_64", target_feature(enable = "sse4.2"))]
        #[cfg_attr(target_arch = "aarch64", target_feature(enable = "crc"))]
        #[inline(never)]
        pub fn by_features(number: u32) -> u32 {
            number + 2
        }
        #[inline(never)]
        pub fn by_default(number: u32) -> u32 {
            number + 1
        }
        pub fn nothing() {}

        /// # Safety
        ///
        /// Any call is sound whose processor has the feature.
        #[cfg_attr(target_arch = "x86_64", target_feature(enable = "sse4.2"))]
        #[cfg_attr(target_arch = "aarch64", target_feature(enable = "crc"))]
        pub unsafe fn dangerous(number: u32) -> u32 {
            number * 2
        }

        /// # Safety
        ///
        /// Any call is sound.
        pub unsafe fn dangerous_default(number: u32) -> u32 {
            number + number
        }
    }
}

#[inline(never)]
fn call(number: u32) -> u32 {
    numbers::chosen(number)
}

/// The key, if an image that calls it is known.
fn entry() -> Option<Entry> {
    registry::matching("dispatch::numbers::chosen").next().map(|entry| entry.expect("no update is under way"))
}

fn variant(number: u32) -> &'static str {
    match number {
        3 => "by_absent",
        2 => "by_features",
        1 => "by_default",
        _ => panic!("{number}"),
    }
}

fn address(number: u32) -> usize {
    match number {
        #[cfg(target_arch = "x86_64")]
        3 => numbers::variants::by_absent as *const () as usize,
        2 => numbers::variants::by_features as *const () as usize,
        _ => numbers::variants::by_default as *const () as usize,
    }
}

/// Many threads at once.
fn by_threads() -> u32 {
    const THREADS: usize = 16;
    let start = Barrier::new(THREADS);
    let results: Vec<u32> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    (0..100).map(|_| call(0)).max().unwrap_or_default()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
    });
    assert!(results.iter().all(|&result| result == results[0]), "{results:?}");
    results[0]
}

static IN_HANDLER: AtomicU32 = AtomicU32::new(0);

extern "C" fn handler(_: libc::c_int) {
    IN_HANDLER.store(call(0), Ordering::Relaxed);
}

fn main() {
    let how = std::env::args().nth(1).unwrap_or_default();
    match &*how {
        "" => {}
        "threads" => {
            by_threads();
        }
        "sealed" => {
            if let Err(error) = static_call::seal() {
                println!("not-protected {error}");
            }
        }
        // PR_SET_MDWE: no memory becomes executable.
        // SAFETY: prctl(2) takes numbers.
        "mdwe" => assert_eq!(unsafe { libc::prctl(65, 1, 0, 0, 0) }, 0),
        // SAFETY: a set of signals, and one of this thread's.
        "masked" => unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGTRAP);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        },
        // SAFETY: the handler only calls the function.
        "signal" => unsafe {
            libc::signal(libc::SIGUSR1, handler as extern "C" fn(libc::c_int) as libc::sighandler_t);
            libc::raise(libc::SIGUSR1);
            assert_eq!(IN_HANDLER.load(Ordering::Relaxed), call(0));
        },
        _ => panic!("unknown argument {how}"),
    }
    let number = call(0);
    assert_eq!(call(7), 7 + number);
    println!("chosen {}", variant(number));
    println!("other {}", if numbers::call_other() == "t" { "other_first" } else { "other_second" });
    numbers::nothing();
    assert_eq!(numbers::declared_safe(21), 42);
    println!("registered {}", entry().is_some());
    // Elsewhere it is a plain function. A debug build leaves its key there, which nothing calls or resolves.
    let has_variants = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
    if let Some(entry) = entry().filter(|_| has_variants) {
        let target = address(number);
        assert_eq!(entry.state(), State::Calls { target }, "the key points at the chosen variant");
        let path = format!("variants::{}", variant(number));
        assert_eq!(entry.variant(), Some(&*path));
        assert_eq!(entry.to_string(), format!("{}: calls {target:#x}, {path}", entry.name()));
        let variants: Vec<_> = entry.variants().collect();
        let [.., "variants::by_default"] = variants[..] else { panic!("{variants:?}") };
        assert!(variants.contains(&&*path));
        println!("sites {}\ndirect {}", entry.info().sites, entry.info().direct);
    }
    println!("mode {}", static_call::mode());
    println!("ok");
}
