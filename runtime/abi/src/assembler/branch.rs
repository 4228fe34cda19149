//! Static branches: what all architectures have in common.

/// The record of a branch's key, once in each file, and the entry of one branch.
///
/// `{key}` is the key, `{target}` where the branch jumps, `{record}` stands for the trampoline that the
/// record has not, `{polarity}` is the lowest bit of the entry's last field. The instruction has the label
/// 780.
///
/// The first branch of a file names the sections in their order: where the pass has made the descriptor, code
/// comes before the data that does so. These sections are empty, and unlike others never garbage. The record
/// is linked to one of them, because mold puts sections with a link and sections without into different ones.
///
/// An entry goes where its function goes: linkers drop both, or keep both. That takes a label which is
/// unique in the file, since a number is none; hence the macros.
///
/// `code` is the code of a branch on all architectures but x86. The first list of lines is the start of the
/// check: a no-op by which the runtime knows it, and what brings the key's address. That is in the record,
/// which lies in the same image as the code. The second list jumps to 783 unless the branch jumps.
/// Conditional jumps reach less far than `go`, so they are short and stand before one.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_branch {
    (names) => {
        ".ifndef .Lstatic_call_branch
        .set .Lstatic_call_branch, 1
        .irp section, keys, records, branches, sites, end
        .pushsection static_call_\\section, \"awR\", %progbits, unique, 1000000
        .Lstatic_call_names_\\section:
        .popsection
        .endr
        .endif"
    };
    (code $go:literal [$($key:literal)+] [$($look:literal)+] $($data:literal)?) => {
        ::core::concat!(
            "780: ", $go, " 782f
            781:
            .subsection 1
            782: ",
            $($key, "\n",)+
            $($look, "\n",)+
            $go, " {target}
            783: ", $go, " 781b
            ",
            $($data, "\n",)?
            ".previous"
        )
    };
    (record 64) => {
        $crate::__static_call_branch!(record ".quad" ", 0, 0\n.long 0, {record}\n.quad 0" "3")
    };
    (record 32) => {
        $crate::__static_call_branch!(record ".long" ", 0, 0, 0, {record}, 0, 0" "2")
    };
    (record $word:literal $rest:literal $align:literal) => {
        ::core::concat!(
            ".ifndef \".Lstatic_call_branch.{key}\"
            .pushsection static_call_records, \"awo\", %progbits, .Lstatic_call_names_records
            .p2align ", $align, "
            \".Lstatic_call_branch.{key}\":
            ", $word, " {key}", $rest, "
            .popsection
            .endif"
        )
    };
    (section) => {
        ".ifndef .Lstatic_call_branches
        .set .Lstatic_call_branches, 0
        .macro __static_call_branch_entry number
        .set .Lstatic_call_branch_\\number, 780b
        .pushsection static_call_branches, \"awo?\", %progbits, .Lstatic_call_branch_\\number
        .endm
        .endif
        .altmacro
        __static_call_branch_entry %.Lstatic_call_branches
        .noaltmacro
        .set .Lstatic_call_branches, .Lstatic_call_branches + 1"
    };
    (entry) => {
        ".p2align 2
        .long 780b - ., {target} - ., \".Lstatic_call_branch.{key}\" + {polarity} - .
        .popsection"
    };
}
