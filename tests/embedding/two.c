/* Two libraries, each with its own runtime. */
#define COUNTER(name) first_##name
#include "counter.h"
#undef COUNTER
#undef COUNTER_H
#define COUNTER(name) second_##name
#include "counter.h"
#include <stdio.h>

int main(void)
{
	int before = first_step(7) + second_step(7);
	int error = first_switch();

	printf("%d %d %d %d: ", before, error, first_step(7), second_step(7));
	printf("%d of %d, %d of %d\n", first_direct(), first_sites(), second_direct(), second_sites());
	/* The process is sealed as a whole. */
	error = first_seal();
	printf("%d %d %d\n", error, second_switch() != 0, second_step(7));
	return 0;
}
