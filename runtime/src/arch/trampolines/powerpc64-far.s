	nop
	addis	12, 2, far@got@ha
	ld	12, far@got@l(12)
	ld	12, 8(12)
	mtctr	12
	bctr
	.p2align	3
