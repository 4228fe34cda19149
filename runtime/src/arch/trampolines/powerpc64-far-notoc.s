	nop
	pld	12, far@got@pcrel
	ld	12, 8(12)
	mtctr	12
	bctr
	.p2align	3
