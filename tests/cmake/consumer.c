#include <static_call.h>
#include <stdio.h>

int func_a(int arg1, int arg2);
int func_b(int arg1, int arg2);
int func_a(int arg1, int arg2) { return arg1 + arg2; }
int func_b(int arg1, int arg2) { return arg1 * arg2; }

DEFINE_STATIC_CALL(my_key, func_a);

int main(void)
{
	int before = static_call(my_key, 3, 4);
	int error = static_call_update(my_key, func_b);
	printf("%d %d %d %d\n", before, error, static_call(my_key, 3, 4), (int)static_call_mode());
	return 0;
}
