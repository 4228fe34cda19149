//! How this process has run its static calls: for the harness, which compares that with what it has asked
//! for.

use static_call::{Mode, Writer};

/// Prints lines like all others: the mode and the writer, by their numbers in `static_call.h`, why it is that
/// mode, and how many sites there are, and are direct.
pub(crate) fn print() {
    let mode = match static_call::mode() {
        Mode::Inline => 2,
        Mode::Trampoline => 1,
        _ => 0,
    };
    let writer = match static_call::writer() {
        Writer::None => 0,
        Writer::Window => 1,
        Writer::Breakpoint => 2,
        _ => 3,
    };
    let info = static_call::process_info();
    println!("process/mode {mode}\nprocess/because {} {mode}", static_call::mode_reason());
    println!("process/writer {writer}\nprocess/sites {}\nprocess/direct {}", info.sites, info.direct);
}
