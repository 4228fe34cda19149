	.option	push
	.option	norelax
	.option	norvc
1:	auipc	t1, %pcrel_hi(near+8)
	ld	t1, %pcrel_lo(1b)(t1)
	fence	r, rw
	jr	t1
	unimp
	.p2align	3
	.option	pop
