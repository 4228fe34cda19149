	call	1f
	.cfi_adjust_cfa_offset	4
1:	pop	%eax
	.cfi_adjust_cfa_offset	-4
	add	$_GLOBAL_OFFSET_TABLE_+(.-1b), %eax
	mov	far@GOT(%eax), %eax
	jmp	*8(%eax)
	int3
	.p2align	3, 0xcc
