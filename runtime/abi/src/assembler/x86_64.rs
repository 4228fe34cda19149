/// x86-64, for the pass and for Rust's macros.
///
/// A load is an acquire. The trap stops speculation past the jump. The instruction that the runtime replaces
/// follows a no-op: see the head of its `arch/x86_64.rs`.
///
/// A thunk is the code that jumps to the address in r11: a jump to the compiler's own, or `retpoline`.
///
/// `data` marks the eight bytes before it as data, or as many as it is told. Otherwise llvm-bolt would take
/// them for code, and refuse the program or drop what it cannot read. `{number}` is unique in the file.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_x86_64 {
    // Control Flow Guard's function checks the address in rax and jumps there. rax has no argument on
    // Windows. "PE Metadata" in Microsoft's documentation of the guard has the name of the pointer.
    (near guarded) => {
        "nop
        movq {key}+{offset}(%rip), %rax
        jmpq *__guard_dispatch_icall_fptr(%rip)
        int3
        .p2align 3, 0xcc"
    };
    (slot guarded) => {
        "nop
        movq {key}(%rip), %rax
        movq (%rax), %rax
        jmpq *__guard_dispatch_icall_fptr(%rip)
        int3
        .p2align 3, 0xcc"
    };
    (near) => {
        "nop
        jmpq *{key}+{offset}(%rip)
        int3
        .p2align 3, 0xcc"
    };
    (near $($thunk:tt)+) => {
        ::core::concat!(
            "nop
            movq {key}+{offset}(%rip), %r11
            ", $($thunk)+, "
            int3
            .p2align 3, 0xcc"
        )
    };
    (far) => {
        "nop
        movq {key}@GOTPCREL(%rip), %r11
        jmpq *{offset}(%r11)
        int3
        .p2align 3, 0xcc"
    };
    (far $($thunk:tt)+) => {
        ::core::concat!(
            "nop
            movq {key}@GOTPCREL(%rip), %r11
            movq {offset}(%r11), %r11
            ", $($thunk)+, "
            int3
            .p2align 3, 0xcc"
        )
    };
    // COFF: `{key}` is a pointer to the key.
    (slot) => {
        "nop
        movq {key}(%rip), %r11
        jmpq *(%r11)
        int3
        .p2align 3, 0xcc"
    };
    (slot $($thunk:tt)+) => {
        ::core::concat!(
            "nop
            movq {key}(%rip), %r11
            movq (%r11), %r11
            ", $($thunk)+, "
            int3
            .p2align 3, 0xcc"
        )
    };
    // A retpoline, for code that no compiler gives one: speculation of the return ends in the loop.
    (retpoline) => {
        "call 776f
        775: pause
        lfence
        jmp 775b
        .cfi_adjust_cfa_offset 8
        776: movq %r11, (%rsp)
        retq"
    };
    // A thunk that checks the type of the function in r11, with registers that no argument of C is in.
    // Neither number is a hash: an address behind one must not look like a function. `{jump}` goes there.
    (check) => {
        "movl ${negated}, %r10d
        addl -{distance}(%r11), %r10d
        je 777f
        addl ${to_stand_in}, %r10d
        je 777f
        ud2
        777: {jump}"
    };
    (data) => {
        $crate::__static_call_x86_64!(data "8")
    };
    (data $size:literal) => {
        ::core::concat!(
            ".set __static_call_prefix.{number}, . - ", $size, "
            .type __static_call_prefix.{number}, @object
            .size __static_call_prefix.{number}, ", $size
        )
    };
    // A static branch. All prefixes belong to the instruction that changes: the first one never does, and a
    // probe may be set there. The code that looks at the key has no register to change; it leaves alone the
    // 128 bytes below the stack pointer, which belong to the function. The record has the key's address,
    // since the global offset table has none of a key within an array or a struct. No operand is a number:
    // clang drops `$` where the compiler's syntax is Intel's.
    //
    // `on` and `off` say when it jumps: while its key is on or off, or while a function's key calls one.
    (branch on) => {
        $crate::__static_call_x86_64!(branch "movq (%rax), %rax" "testq %rax, %rax" "jne")
    };
    (branch off) => {
        $crate::__static_call_x86_64!(branch "movq (%rax), %rax" "testq %rax, %rax" "je")
    };
    // The lowest bit of `form` says that it calls none.
    (branch some) => {
        $crate::__static_call_x86_64!(branch "movb 32(%rax), %al" "shrb %al" "jnc")
    };
    (branch $look:literal $test:literal $jump:literal) => {
        ::core::concat!(
            ".byte 0x67
            .p2align 3, 0x67, 4
            780: .byte 0xe9
            .long 782f - . - 4
            781:
            .subsection 1
            782: leaq -128(%rsp), %rsp
            pushq %rax
            movq \".Lstatic_call_branch.{key}\"(%rip), %rax
            ", $look, "
            ", $test, "
            popq %rax
            leaq 128(%rsp), %rsp
            ", $jump, " {target}
            jmp 781b
            .previous"
        )
    };
    (hooks) => {
        "773: endbr64
        leaq 772b(%rip), %rdi
        jmp __static_call_register@PLT
        774: endbr64
        leaq 772b(%rip), %rdi
        jmp __static_call_unregister@PLT"
    };
}
