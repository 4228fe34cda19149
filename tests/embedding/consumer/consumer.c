/* A program that does not know of static calls. */
#include <counter.h>
#include <stdio.h>

int main(void)
{
	int before = counter_step(7);
	int error = counter_switch();
	int after = counter_step(7);

	printf("%d %d %d: %d of %d\n", before, error, after, counter_direct(), counter_sites());
	return 0;
}
