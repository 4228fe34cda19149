	call	1f
	.cfi_adjust_cfa_offset	4
1:	pop	%eax
	.cfi_adjust_cfa_offset	-4
	jmp	*near+8-1b(%eax)
	int3
	.p2align	3, 0xcc
