/// i686, for the pass and for Rust's macros.
///
/// A load is an acquire. The trap stops speculation past the jump. The instruction that the runtime replaces
/// follows a no-op, as on x86-64.
///
/// Only a call yields the address of code, so the first instruction calls the next one. No argument is in
/// eax. `fixed` is shorter, for a near key in code at a fixed address.
///
/// A thunk is the code that jumps to the address in eax.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_x86 {
    (near) => {
        ::core::concat!(
            $crate::__static_call_x86!(@address),
            "jmp *{key}+{offset}-777b(%eax)
            int3
            .p2align 3, 0xcc"
        )
    };
    (near $($thunk:tt)+) => {
        ::core::concat!(
            $crate::__static_call_x86!(@address),
            "mov {key}+{offset}-777b(%eax), %eax
            ", $($thunk)+, "
            int3
            .p2align 3, 0xcc"
        )
    };
    (far) => {
        ::core::concat!(
            $crate::__static_call_x86!(@entry),
            "jmp *{offset}(%eax)
            int3
            .p2align 3, 0xcc"
        )
    };
    (far $($thunk:tt)+) => {
        ::core::concat!(
            $crate::__static_call_x86!(@entry),
            "mov {offset}(%eax), %eax
            ", $($thunk)+, "
            int3
            .p2align 3, 0xcc"
        )
    };
    (fixed) => {
        "nop
        jmp *{key}+{offset}
        int3
        .p2align 3, 0xcc"
    };
    // The same without eax, for C, where a function may take an argument in it (regparm) and nobody tells.
    (fixed stacked) => {
        "nop
        pushl {key}+{offset}
        .cfi_adjust_cfa_offset 4
        call 776f
        775: pause
        lfence
        jmp 775b
        .cfi_adjust_cfa_offset 4
        776: lea 4(%esp), %esp
        .cfi_adjust_cfa_offset -4
        ret
        int3
        .p2align 3, 0xcc"
    };
    (fixed $($thunk:tt)+) => {
        ::core::concat!(
            "nop
            mov {key}+{offset}, %eax
            ", $($thunk)+, "
            int3
            .p2align 3, 0xcc"
        )
    };
    // Sets eax to the address of its label.
    (@address) => {
        "nop
        call 777f
        .cfi_adjust_cfa_offset 4
        777: pop %eax
        .cfi_adjust_cfa_offset -4
        "
    };
    // Sets eax to the address in the key's entry of the global offset table.
    (@entry) => {
        ::core::concat!(
            $crate::__static_call_x86!(@address),
            "add $_GLOBAL_OFFSET_TABLE_+(.-777b), %eax
            mov {key}@GOT(%eax), %eax
            "
        )
    };
    // A retpoline, for code that no compiler gives one: speculation of the return ends in the loop.
    (retpoline) => {
        "call 776f
        775: pause
        lfence
        jmp 775b
        .cfi_adjust_cfa_offset 4
        776: movl %eax, (%esp)
        ret"
    };
    // A static branch, as in `x86_64.rs`. Only a call yields the address of code; the record has the key's.
    // No function may have anything below the stack pointer.
    (branch on) => {
        $crate::__static_call_x86!(branch "movl (%eax), %eax" "testl %eax, %eax" "jne")
    };
    (branch off) => {
        $crate::__static_call_x86!(branch "movl (%eax), %eax" "testl %eax, %eax" "je")
    };
    // The lowest bit of `form` says that it calls none.
    (branch some) => {
        $crate::__static_call_x86!(branch "movb 16(%eax), %al" "shrb %al" "jnc")
    };
    (branch $look:literal $test:literal $jump:literal) => {
        ::core::concat!(
            ".byte 0x64
            .p2align 3, 0x64, 4
            780: .byte 0xe9
            .long 782f - . - 4
            781:
            .subsection 1
            782: pushl %eax
            call 783f
            783: popl %eax
            movl \".Lstatic_call_branch.{key}\"-783b(%eax), %eax
            ", $look, "
            ", $test, "
            popl %eax
            ", $jump, " {target}
            jmp 781b
            .previous"
        )
    };
    (hooks) => {
        ::core::concat!(
            $crate::__static_call_x86!(@hook "773" "__static_call_register"),
            $crate::__static_call_x86!(@hook "774" "__static_call_unregister")
        )
    };
    // The argument is on the stack, and the linkage table wants the global offset table in ebx. There is no
    // landing pad: the first processors do not have it, and Linux asks for none in 32-bit programs. The
    // second PUSH aligns the stack.
    (@hook $label:literal $function:literal) => {
        ::core::concat!(
            $label, ": push %ebx
            call 775f
            775: pop %ebx
            lea 772b-775b(%ebx), %eax
            lea _GLOBAL_OFFSET_TABLE_+(.-775b)(%ebx), %ebx
            push %eax
            push %eax
            call ", $function, "@PLT
            lea 8(%esp), %esp
            pop %ebx
            ret
            "
        )
    };
}
