	jmp	*near+8
	int3
	.p2align	3, 0xcc
