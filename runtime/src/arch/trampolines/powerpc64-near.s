	nop
	mflr	0
	.cfi_register	lr, 0
	bcl	20, 31, 1f
1:	mflr	12
	mtlr	0
	.cfi_restore	lr
	addis	2, 12, .TOC.-1b@ha
	addi	2, 2, .TOC.-1b@l
	addis	12, 2, near+8@toc@ha
	ld	12, near+8@toc@l(12)
	lwsync
	mtctr	12
	bctr
	b	.
