	call	1f
1:	pop	%eax
	jmp	*near+8-1b(%eax)
	int3
	.p2align	3, 0xcc
