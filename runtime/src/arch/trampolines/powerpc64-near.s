	nop
	addis	12, 2, near@toc@ha+8
	ld	12, near@toc@l+8(12)
	mtctr	12
	bctr
	.p2align	3
