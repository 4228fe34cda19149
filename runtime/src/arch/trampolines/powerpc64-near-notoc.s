	nop
	pld	12, near+8@pcrel
	mtctr	12
	bctr
	.p2align	3
