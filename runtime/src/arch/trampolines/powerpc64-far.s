	nop
	mflr	0
	.cfi_register	lr, 0
	bcl	20, 31, 1f
1:	mflr	12
	mtlr	0
	.cfi_restore	lr
	addis	2, 12, .TOC.-1b@ha
	addi	2, 2, .TOC.-1b@l
	addis	12, 2, far@got@ha
	ld	12, far@got@l(12)
	ld	12, 8(12)
	lwsync
	mtctr	12
	bctr
	b	.
