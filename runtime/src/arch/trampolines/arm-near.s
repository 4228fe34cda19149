	.inst	0xe320f000
	ldr	ip, 2f
1:	ldr	ip, [pc, ip]
	dmb	ish
	bx	ip
	dsb	sy
	isb
2:	.long	near+8-(1b+8)
	.p2align	3
