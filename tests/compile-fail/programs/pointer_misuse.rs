use static_call::{declare, define};

type Function = fn(u32) -> u32;

define! { #[pointer] static NO_VALUE: fn(u32) -> u32; }
define! { #[pointer] static OF_A_NAME: Function = plain; }
define! { #[pointer] #[return_zero] static ZERO: fn(u32) -> u32; }
define! { #[return_zero] #[pointer] static ZERO_FIRST: fn(u32) -> u32; }
define! { #[pointer] #[pointer] static TWICE: fn(u32) -> u32 = plain; }
define! {
    #[pointer]
    dyn OBJECT: Log { fn log(&self); } = Nop;
}
define! { #[pointer] static ON: bool = false; }
declare! { unsafe extern { #[pointer] static declared: fn(u32) -> u32; } }
declare! { unsafe extern { #[pointer] static with_a_value: fn(u32) -> u32 = plain; } }

trait Log {
    fn log(&self);
}
struct Nop;
impl Log for Nop {
    fn log(&self) {}
}

fn plain(number: u32) -> u32 {
    number
}

fn main() {}
