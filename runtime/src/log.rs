//! `STATIC_CALL_LOG=1`: what the runtime does, on standard error.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU8, Ordering};

use static_call_abi::installation;

use crate::os;

const UNKNOWN: u8 = 0;
const OFF: u8 = 1;
const ON: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);

pub(crate) fn is_on() -> bool {
    if STATE.load(Ordering::Relaxed) == UNKNOWN {
        let on =
            os::environment(installation::LOG).is_some_and(|value| !matches!(value.to_bytes(), b"" | b"0"));
        STATE.store(if on { ON } else { OFF }, Ordering::Relaxed);
    }
    STATE.load(Ordering::Relaxed) == ON
}

/// Prints one line, whole: without an allocator it is put together here.
pub(crate) fn print(arguments: fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; 512], len: 0 };
    // A line that is too long is cut.
    let _ = write!(line, "static-call: {arguments}");
    line.len = line.len.min(line.bytes.len() - 1);
    line.bytes[line.len] = b'\n';
    if let Ok(line) = core::str::from_utf8(&line.bytes[..=line.len]) {
        os::print(line);
    }
}

struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - 1 - self.len;
        let mut ends = (0..=room.min(text.len())).rev();
        let fits = ends.find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        self.bytes[self.len..self.len + fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.len += fits;
        Ok(())
    }
}

macro_rules! log {
    ($($argument:tt)*) => {
        if $crate::log::is_on() {
            $crate::log::print(format_args!($($argument)*));
        }
    };
}
pub(crate) use log;
