	nop
	ldr	ip, 2f
1:	ldr	pc, [pc, ip]
2:	.long	near+8-(1b+8)
	.p2align	3
