//! How this process runs its static calls. The harness compares this with what it asked for.

use static_call::{Mode, Writer};

/// Prints the numbers of the mode and the writer in `static_call.h`, the reason for the mode, and how many
/// sites exist and are direct.
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
        Writer::Alias => 4,
        _ => 3,
    };
    let info = static_call::process_info();
    println!("process/mode {mode}\nprocess/because {} {mode}", static_call::mode_reason());
    println!("process/writer {writer}\nprocess/sites {}\nprocess/direct {}", info.sites, info.direct);
}
