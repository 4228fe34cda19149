	call	1f
1:	pop	%eax
	add	$_GLOBAL_OFFSET_TABLE_+(.-1b), %eax
	mov	far@GOT(%eax), %eax
	jmp	*8(%eax)
	int3
	.p2align	3, 0xcc
