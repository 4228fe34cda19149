#include <static_call.h>
#include <stdio.h>

int func_a(int arg1, int arg2);
int func_b(int arg1, int arg2);
int func_a(int arg1, int arg2) { return arg1 + arg2; }
int func_b(int arg1, int arg2) { return arg1 * arg2; }

DEFINE_STATIC_CALL(my_key, func_a);

/* Prints a call's result before and after an update, and how many calls are direct. */
int main(void)
{
	struct static_call_info info;
	int before = static_call(my_key, 3, 4);
	int error = static_call_update(my_key, func_b);
	int after = static_call(my_key, 3, 4);
	static_call_process_info(&info);
	printf("%d %d %d: %zu of %zu\n", before, error, after, info.direct, info.sites);
	return 0;
}
