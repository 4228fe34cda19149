//! Assembler that several compilers have to write alike: the pass as inline assembler, Rust's macros in
//! naked functions, and C's in the assembler of a file.
//!
//! Each text is a macro that expands to a string, since Rust takes assembler only as literals. What differs
//! stands in braces, as operands of `naked_asm!` do:
//!
//! | operand | is |
//! |---|---|
//! | `{key}` | where the key's pointer lies; with `far`, the symbol that `{offset}` is counted from |
//! | `{offset}` | the distance of the key from that symbol |
//!
//! `near` is for a key at a constant distance. With `far`, the key's address comes from the global offset
//! table; the linker simplifies the access if it can. A literal behind `far` stands in the place of the
//! instruction that loads the pointer with `{offset}` as its displacement, and so serves larger offsets.
//! Where indirect jumps may need a thunk, the assembler behind `near` or `far` is the thunk.
//!
//! In every text the runtime knows the first instruction, and a jump may replace it while threads are about
//! to execute it or have just done so. No text changes a register that has an argument or that the caller
//! expects back.
//!
//! The labels 770 to 774 belong to the text around a trampoline's code, 775 and later ones to the code.

mod aarch64;
mod arm;
mod branch;
mod loongarch64;
mod powerpc64;
mod riscv64;
mod s390x;
mod x86;
mod x86_64;

/// What stands around the code of a trampoline that is compiled without the pass: `start`, the code, `end`.
///
/// ```text
///  trampoline: code, padded to whole words
///              signature
///              record - trampoline
/// ```
///
/// `{key}` is the key, `{trampoline}` the function. The pass writes the last two lines before the code; a
/// compiler that gives assembler a name puts the name before it.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_record {
    (start) => {
        "770:\n.cfi_startproc"
    };
    // Arm's unwinder has tables of its own. An entry that says how to go on names a function of libgcc's,
    // which not every program has.
    (start arm) => {
        "770:\n.fnstart"
    };
    // No frame is described: GNU as describes one at a time on Arm, and C's header writes within another.
    (start open) => {
        "770:"
    };
    // A near key is reached without the global offset table, so no other image may define it.
    (hidden) => {
        ".hidden {key}"
    };
    (end) => {
        ".cfi_endproc
        .long {signature}, 771f - 770b"
    };
    (end arm) => {
        ".cantunwind
        .fnend
        .long {signature}, 771f - 770b"
    };
    (end open) => {
        ".long {signature}, 771f - 770b"
    };
    (fields 64) => {
        ".pushsection static_call_records, \"awo\", %progbits, {trampoline}
        .p2align 3
        771: .quad {key}+{offset}, 0, 0
        .long 0, 770b - 771b
        .quad 0
        .popsection"
    };
    (fields 32) => {
        ".pushsection static_call_records, \"awo\", %progbits, {trampoline}
        .p2align 2
        771: .long {key}+{offset}, 0, 0, 0, 770b - 771b, 0, 0
        .popsection"
    };
}

/// The image descriptor and the anchors of the sections, as the pass makes them: one for each image.
///
/// It goes into each trampoline's text, and all but the first of a file are skipped. The group is the
/// pass's; but its symbol is not defined, since link-time optimization may put the pass's own descriptor
/// into the same file.
///
/// `open` stands before the code that calls the runtime, `close` behind it.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_image {
    (open 64) => {
        $crate::__static_call_image!(open ".quad" "40" "3")
    };
    (open 32) => {
        $crate::__static_call_image!(open ".long" "28" "2")
    };
    (open $word:literal $record:literal $align:literal) => {
        ::core::concat!(
            ".ifndef .Lstatic_call_image
            .set .Lstatic_call_image, 1
            .weak __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites
            .weak __start_static_call_records, __stop_static_call_records, __start_static_call_keys
            .weak __stop_static_call_keys, __stop_static_call_end
            .weak __start_static_call_branches, __stop_static_call_branches
            .hidden __static_call_image, __ehdr_start, __start_static_call_sites, __stop_static_call_sites
            .hidden __start_static_call_records, __stop_static_call_records, __start_static_call_keys
            .hidden __stop_static_call_keys, __stop_static_call_end
            .hidden __start_static_call_branches, __stop_static_call_branches
            .pushsection static_call_keys, \"awG\", %progbits, __static_call_image, comdat
            .balign {page}
            .zero 8
            .section static_call_records, \"awG\", %progbits, __static_call_image, comdat
            .p2align ", $align, "
            .zero ", $record, "
            .section static_call_branches, \"awG\", %progbits, __static_call_image, comdat
            .p2align 2
            .zero 12
            .section static_call_sites, \"awG\", %progbits, __static_call_image, comdat
            .p2align 2
            .zero 4
            .section static_call_end, \"awG\", %progbits, __static_call_image, comdat
            .zero {page}
            .section .data.static_call_image, \"awG\", %progbits, __static_call_image, comdat
            .p2align ", $align, "
            772:
            .long {version}, 0
            ", $word, " __start_static_call_sites, __stop_static_call_sites
            ", $word, " __start_static_call_records, __stop_static_call_records
            ", $word, " __start_static_call_keys, __stop_static_call_keys
            ", $word, " __start_static_call_branches, __stop_static_call_branches
            ", $word, " __stop_static_call_end, __ehdr_start, 0, 0, 0, 0, 0
            .long 0, 0
            .section .text.static_call_image, \"axG\", %progbits, __static_call_image, comdat"
        )
    };
    (close 64) => {
        $crate::__static_call_image!(close ".quad" "3")
    };
    (close 32) => {
        $crate::__static_call_image!(close ".long" "2")
    };
    // Before the program's own constructors (the default is 65535), which may already call and update; 0 to
    // 100 belong to the implementation.
    (close $word:literal $align:literal) => {
        ::core::concat!(
            ".section .init_array.101, \"awG\", %init_array, __static_call_image, comdat
            .p2align ", $align, "
            ", $word, " 773b
            .section .fini_array.101, \"awG\", %fini_array, __static_call_image, comdat
            .p2align ", $align, "
            ", $word, " 774b
            .popsection
            .endif"
        )
    };
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use crate::Layout;

    /// The offset of each number that these lines of assembler write, and of their end.
    fn offsets(lines: &str) -> (Vec<(u64, &str)>, u64) {
        let mut numbers = Vec::new();
        let mut end = 0;
        for line in lines.lines().map(str::trim) {
            let (size, values) = match line.split_once(' ') {
                Some((".quad", values)) => (8, values),
                Some((".long", values)) => (4, values),
                _ => continue,
            };
            for value in values.split(", ") {
                numbers.push((end, value));
                end += size;
            }
        }
        (numbers, end)
    }

    #[test]
    fn records_and_descriptors_have_the_layout_of_their_types() {
        let records = [__static_call_record!(fields 64), __static_call_record!(fields 32)];
        let images = [__static_call_image!(open 64), __static_call_image!(open 32)];
        for ((record, image), pointer) in records.into_iter().zip(images).zip([8, 4]) {
            let layout = Layout { pointer };
            let (start, fields) = record.split_once("771: ").unwrap();
            assert!(start.contains(&std::format!(".p2align {}\n", pointer.ilog2())), "side by side");
            let (numbers, end) = offsets(fields);
            assert_eq!(end, layout.record());
            assert_eq!(numbers[0], (0, "{key}+{offset}"));
            assert!(numbers.contains(&(layout.record_trampoline(), "770b - 771b")), "{numbers:?}");
            let (numbers, end) = offsets(image.split_once("772:").unwrap().1);
            assert_eq!(end, layout.image());
            let fields: Vec<(u64, &str)> = numbers.into_iter().filter(|(_, value)| *value != "0").collect();
            let expected = [
                (0, "{version}"),
                (8, "__start_static_call_sites"),
                (8 + pointer, "__stop_static_call_sites"),
                (8 + 2 * pointer, "__start_static_call_records"),
                (8 + 3 * pointer, "__stop_static_call_records"),
                (8 + 4 * pointer, "__start_static_call_keys"),
                (8 + 5 * pointer, "__stop_static_call_keys"),
                (8 + 6 * pointer, "__start_static_call_branches"),
                (8 + 7 * pointer, "__stop_static_call_branches"),
                (8 + 8 * pointer, "__stop_static_call_end"),
                (8 + 9 * pointer, "__ehdr_start"),
            ];
            assert_eq!(fields, expected);
            assert!(image.contains(&std::format!(".zero {}\n", layout.record())), "the records' anchor");
        }
    }
}
