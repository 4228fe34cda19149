	lgrl	%r1, far@GOTENT
	lg	%r1, 8(%r1)
	br	%r1
	.p2align	3
