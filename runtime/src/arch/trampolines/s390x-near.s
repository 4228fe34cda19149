	lgrl	%r1, near+8
	br	%r1
	.p2align	3
