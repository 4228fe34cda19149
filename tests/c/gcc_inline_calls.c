/* Six calls in five functions, compiled without the pass. static-call-as finds them by the trampoline's
 * name. */
extern int step(int x) __asm__("__static_call_trampoline.step__static_call_key")
	__attribute__((visibility("hidden")));

#ifdef __clang__
#define AS_IT_STANDS __attribute__((noinline))
#else
#define AS_IT_STANDS __attribute__((noipa))
#endif

AS_IT_STANDS int plain(int x) { return step(x) + 1; }
AS_IT_STANDS int tail(int x) { return step(x); }

AS_IT_STANDS int conditional(int x, int is_called)
{
	if (is_called)
		return step(x);
	return -1;
}

AS_IT_STANDS int loop(int count)
{
	int sum = 0;
#pragma GCC unroll 1
	for (int i = 0; i < count; i++)
		sum += step(i);
	return sum;
}

AS_IT_STANDS int twice(int x) { return step(step(x)); }
