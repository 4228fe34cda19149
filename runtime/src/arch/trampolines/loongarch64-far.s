	.option	push
	.option	norelax
	pcalau12i	$t8, %got_pc_hi20(far)
	ld.d	$t8, $t8, %got_pc_lo12(far)
	ld.d	$t8, $t8, 8
	dbar	20
	jr	$t8
	break	0
	.p2align	3
	.option	pop
