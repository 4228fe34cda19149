	.option	push
	.option	norelax
	.option	norvc
1:	auipc	t1, %got_pcrel_hi(far)
	ld	t1, %pcrel_lo(1b)(t1)
	ld	t1, 8(t1)
	fence	r, rw
	jr	t1
	unimp
	.p2align	3
	.option	pop
