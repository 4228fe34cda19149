# The thunk for -mretpoline-external-thunk: Linux's retpoline.
	.pushsection .text
	.irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
	.p2align 5
	.globl __x86_indirect_thunk_\register
	.hidden __x86_indirect_thunk_\register
	.type __x86_indirect_thunk_\register, @function
__x86_indirect_thunk_\register:
	call 2f
1:	pause
	lfence
	jmp 1b
2:	movq %\register, (%rsp)
	ret
	.endr
	.popsection
	.pushsection .note.GNU-stack, "", @progbits
	.popsection
