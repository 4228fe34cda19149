//! Checks every behaviour of the Rust interface. The test builds this program in several ways, runs it in
//! every mode, and compares its output with its machine code.

mod hooks;
mod lazy;
mod mixed;
mod objects;
mod pointers;
mod sealed;
mod signatures;
mod torture;
mod transactions;
mod unwinding;

use keys::Scaled;

struct Meters(u64);

impl keys::Scaled for Meters {
    fn value(&self) -> u64 {
        self.0
    }
}

/// Calls in another crate, inlined from it, and instantiated from its generics; and calls in closures, async
/// blocks and drop glue.
fn across_crates() {
    struct OnDrop<'a>(&'a std::cell::Cell<u64>);
    impl Drop for OnDrop<'_> {
        fn drop(&mut self) {
            self.0.set(keys::SCALE.call(self.0.get()));
        }
    }
    let all = || {
        let closure = |value| keys::SCALE.call(value) + 4;
        let dropped = std::cell::Cell::new(10);
        drop(OnDrop(&dropped));
        let future = std::pin::pin!(async { keys::SCALE.call(10) + 5 });
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(polled) = future.poll(&mut context) else {
            panic!("it waits for nothing")
        };
        [
            keys::here(10),
            keys::inlined(10),
            keys::generic(10u8),
            keys::generic(10u32),
            Meters(10).scaled(),
            closure(10),
            dropped.get(),
            polled,
        ]
    };
    assert_eq!(all(), [11, 12, 13, 13, 10, 14, 10, 15]);
    keys::SCALE.update(keys::twice).unwrap();
    assert_eq!(all(), [21, 22, 23, 23, 20, 24, 20, 25]);
    assert_eq!(keys::SCALE.target() as usize, keys::twice as *const () as usize);
    keys::SCALE.update(|value| value + 100).unwrap();
    assert_eq!(all(), [111, 112, 113, 113, 110, 114, 110, 115]);
    keys::SCALE.update(keys::once).unwrap();
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(|argument| &**argument) {
        #[cfg(unix)]
        Some("masked") => return println!("ok {}", lazy::check_masked()),
        Some("torture") => {
            let seconds = arguments[2].parse().expect("a number of seconds");
            return torture::alone(seconds, arguments.len() > 3);
        }
        _ => {}
    }
    let checks: &[(&str, fn())] = &[
        ("across crates", across_crates),
        ("signatures", signatures::check),
        ("hooks", hooks::check),
        ("pointers", pointers::check),
        ("transactions", transactions::check),
        ("objects", objects::check),
        ("unwinding", unwinding::check),
        ("lazy dispatch", lazy::check),
        ("mixed with C", mixed::check),
        ("torture", torture::check),
        ("a strict crate", || strict::check().unwrap()),
        ("sealed", sealed::check),
    ];
    for (name, check) in checks {
        check();
        println!("ok {name}");
    }
    let info = static_call::process_info();
    println!("mode {}", static_call::mode());
    println!("sites {}", info.sites);
    println!("direct {}", info.direct);
    println!("through_trampoline {}", info.through_trampoline);
    println!("of_pointers {}", pointers::sites());
}
