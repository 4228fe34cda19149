/* Mistakes that must not compile, one case at a time. Also compiled as C++. See tests/tests/c_header.rs. */
#include <static_call.h>

int add(int a, int b);
long add_long(long a, long b);
int one_argument(int a);
float real(int a);
struct two {
	long a, b;
};
struct two pair(int a);
void nothing(int a);

static DEFINE_STATIC_CALL(key, add);
#if CASE == 15
int (*choose_another_type(void))(int);
static DEFINE_STATIC_CALL_DISPATCH(chosen, add, choose_another_type);
#elif CASE == 16
static DEFINE_STATIC_CALL_DISPATCH(chosen, add, add);
#endif
int use(int a);
int use(int a)
{
#if CASE == 0
	return static_call(key, a, static_call_update(key, add)); /* right; the others differ in one thing */
#elif CASE == 1
	return static_call_update(key, add_long);
#elif CASE == 2
	return static_call_update(key, one_argument);
#elif CASE == 3
	return static_call_update(key, 5);
#elif CASE == 4
	struct static_call_change change = STATIC_CALL_CHANGE(key, one_argument);
	return static_call_update_batch(&change, 1);
#elif CASE == 5
	return static_call(key, a);
#elif CASE == 6
	return static_call(key, a, "text");
#elif CASE == 7
	static struct static_call_key table[] = { STATIC_CALL_INIT(add) };
	return static_call_update_at(add, &table[0], add_long);
#elif CASE == 8
	int (*variable)(int, int) = add;
	static DEFINE_STATIC_CALL(starts_unknown, variable);
	return static_call(starts_unknown, a, a);
#elif CASE == 9
	return static_call(no_such_key, a);
#elif CASE == 10 && defined __cplusplus
	static DEFINE_STATIC_CALL_RET0(zero, real);
	return static_call(zero, a) > 0;
#elif CASE == 11 && defined __cplusplus
	static DEFINE_STATIC_CALL_RET0(zero, pair);
	return static_call(zero, a).a > 0;
#elif CASE == 12 && defined __cplusplus
	static DEFINE_STATIC_CALL_RET0(zero, nothing);
	static_call(zero, a);
	return 0;
#elif CASE == 13 && defined __cplusplus
	static DEFINE_STATIC_CALL_NULL(hook, pair);
	static_call_cond(hook, a);
	return 0;
#elif CASE == 14 && defined __cplusplus
	static DEFINE_STATIC_CALL_RET0(only_noexcept, int(int) noexcept);
	return static_call_update(only_noexcept, one_argument);
#endif
}
