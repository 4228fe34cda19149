	nop
	ldr	ip, 3f
1:	ldr	ip, [pc, ip]
2:	ldr	pc, [ip, #8]
3:	.long	far(GOT_PREL)-((1b+8)-3b)
	.p2align	3
