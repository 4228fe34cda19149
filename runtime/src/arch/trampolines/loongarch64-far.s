	.option	push
	.option	norelax
	pcalau12i	$t8, %got_pc_hi20(far)
	ld.d	$t8, $t8, %got_pc_lo12(far)
	ld.d	$t8, $t8, 8
	jr	$t8
	.option	pop
	.p2align	3
