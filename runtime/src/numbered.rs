//! Numbers that others know: C, other copies of the runtime, the inspector, a child of fork(2).

/// An enumeration with explicit numbers, because other code knows them. They never change: a removed variant
/// leaves a gap, and a new one gets a new number.
macro_rules! numbered {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$of_variant:meta])* $variant:ident = $number:literal,)*
        }
    ) => {
        $(#[$attribute])*
        #[repr(u32)]
        $visibility enum $name {
            $($(#[$of_variant])* $variant = $number,)*
        }

        #[allow(dead_code, reason = "not each enumeration goes both ways in each configuration")]
        impl $name {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The number that others see.
            pub(crate) const fn to_wire(self) -> u32 {
                self as u32
            }

            /// The variant with this number, if this version knows it.
            pub(crate) const fn from_wire(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use numbered;

#[cfg(test)]
mod tests {
    extern crate std;

    use core::fmt::Debug;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use static_call_abi::Form;

    use crate::change::Wish;
    use crate::copies::{self, Request};
    use crate::error::ErrorKind;
    use crate::format;
    use crate::image::ImageState;
    use crate::mode::{Mode, Reason};
    use crate::steps::{Operation, Step};
    use crate::wire::KeyState;
    use crate::writer::Writer;

    fn numbers<T: Copy + Debug + PartialEq>(
        all: &[T],
        to_wire: impl Fn(T) -> u32,
        from_wire: impl Fn(u32) -> Option<T>,
    ) -> String {
        for number in 0..100 {
            let expected = all.iter().copied().find(|&one| to_wire(one) == number);
            assert_eq!(from_wire(number), expected, "{number}");
        }
        assert_eq!(from_wire(u32::MAX), None);
        let shown: Vec<_> = all.iter().map(|&one| format!("{one:?} {}", to_wire(one))).collect();
        shown.join(", ")
    }

    macro_rules! all {
        ($name:ident) => {
            numbers($name::ALL, $name::to_wire, $name::from_wire)
        };
    }

    /// Images of one version carry them into the runtime of another one: a change of this table is a change
    /// of the version.
    #[test]
    fn numbers_that_others_know_stay_as_they_are() {
        assert_eq!(
            all!(ErrorKind),
            "NoOffState 0, DuplicateKey 1, Reentrant 2, NotWritable 3, ForeignCode 4, OtherRuntime 5, \
             SignalBlocked 6, Sealed 7, NotProtected 8, NotMapped 9, Unknown 10, Count 11, WrongType 12"
        );
        assert_eq!(
            all!(Reason),
            "None 0, Asked 1, Architecture 2, NoOs 3, Membarrier 4, NotWritable 5, Damaged 6, Foreign 7, \
             NoHeader 8, Version 9, NoImage 10, OtherRuntime 11, NoWriter 12, SignalBlocked 13, NoSites 14, \
             NoSystem 15, Moved 16, Unreadable 17, DynamicCode 18"
        );
        assert_eq!(all!(Wish), "State 0, On 1, Off 2, Inc 3, Dec 4");
        assert_eq!(all!(Mode), "Generic 0, Trampoline 1, Inline 2");
        assert_eq!(all!(Writer), "None 0, Window 1, Breakpoint 2, Custom 3, Alias 4");
        assert_eq!(all!(ImageState), "Unregistered 0, Registered 1, Patched 2");
        assert_eq!(all!(Request), "IsSealed 0, Protect 1, Check 2");
        let replies = numbers(
            &[copies::Reply::Yes, copies::Reply::No, copies::Reply::Failed],
            copies::Reply::to_wire,
            copies::Reply::from_wire,
        );
        assert_eq!(replies, "Yes 0, No 1, Failed 2");
        assert_eq!(all!(KeyState), "Calls 0, Off 1, ReturnsZero 2, Branch 3");
        assert_eq!(all!(Operation), "Update 0, Load 1, Unload 2, Seal 3");
        assert_eq!(all!(Step), "Preparing 0, Storing 1, Writing 2, Trapping 3, Replacing 4");
        let forms = [Form::Call, Form::Nop, Form::Zero, Form::OffCall];
        assert_eq!(numbers(&forms, |form| form as u32, Form::from_u32), "Call 0, Nop 1, Zero 2, OffCall 3");
    }

    #[test]
    #[cfg(all(feature = "os", any(target_os = "linux", windows), not(loom)))]
    fn the_version_of_notes_stays_as_it_is() {
        assert_eq!(copies::VERSION, 1);
    }

    /// The flags of an image's text: those of the program header, and the runtime's own in bits that have no
    /// meaning there.
    #[test]
    fn flags_of_text_have_bits_of_their_own() {
        assert_eq!((format::GUARDED, format::SEALED, format::UNIT), (1 << 31, 1 << 30, 0x3f << 8));
        let flags = format::with_unit(format::SEALED | 5, 16);
        assert_eq!((format::unit(flags), flags), (16, format::SEALED | 0x1005));
        let access = format::access(5 | format::GUARDED);
        assert_eq!((access.read, access.write, access.execute, access.guarded), (true, false, true, true));
    }
}
