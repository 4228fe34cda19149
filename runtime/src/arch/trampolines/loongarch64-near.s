	.option	push
	.option	norelax
	pcalau12i	$t8, %pc_hi20(near+8)
	ld.d	$t8, $t8, %pc_lo12(near+8)
	dbar	20
	jr	$t8
	break	0
	.p2align	3
	.option	pop
