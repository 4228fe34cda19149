/* Keys in one file: their places, their names, calls and queries. Also compiled as C++. */
#include "check.h"

static int calls;

static int one(void) { return ++calls; }
static int ten(void) { return calls += 10; }
static int add(int a, int b) { return a + b; }
static int subtract(int a, int b) { return a - b; }
static void count(void) { calls++; }

static int (*const pointer)(int, int) = subtract;

static DEFINE_STATIC_CALL(no_arguments, one);
static DEFINE_STATIC_CALL(info, count); /* names with which the library's functions end */
static DEFINE_STATIC_CALL(update, add);
static DEFINE_STATIC_CALL(query, add);
static DEFINE_STATIC_CALL(target, add);
DECLARE_STATIC_CALL(defined_below, int(int, int));

/* A key in an array, and one in a struct. */
static struct static_call_key table[] = { STATIC_CALL_INIT(add), STATIC_CALL_INIT(subtract),
					  STATIC_CALL_INIT_NULL, STATIC_CALL_INIT_RET0 };
static struct {
	int before;
	struct static_call_key key;
} codec = { 7, STATIC_CALL_INIT(add) };

/* Not static: here the key and the intrinsic have external linkage. */
extern inline int called_from_inline(int a, int b);
inline int called_from_inline(int a, int b) { return static_call(defined_below, a, b); }

static int local_key(int a)
{
	static DEFINE_STATIC_CALL(local, add);
	int result = static_call(local, a, 1);
	CHECK(static_call_update(local, subtract) == 0);
	return result * 100 + static_call(local, a, 1);
}

static int another_local_key(int a)
{
	static DEFINE_STATIC_CALL(local, subtract);
	return static_call(local, a, 1);
}

static void tables(void)
{
	for (int i = 0; i < 2; i++) {
		/* Through a variable: a load of the key. */
		CHECK(static_call_at(add, &table[i], 5, 3) == (i == 0 ? 8 : 2));
	}
	CHECK(static_call_at(add, &table[0], 5, 3) == 8);
	CHECK(static_call_at(int(int, int), &table[1], 5, 3) == 2);
	CHECK(static_call_fn_at(pointer, &table[1])(5, 3) == 2);
	CHECK(static_call_update_at(add, &table[1], add) == 0);
	CHECK(static_call_query_at(add, &table[1]) == add);
	CHECK(static_call_at(int (*)(int, int), &table[1], 5, 3) == 8);
	static_call_at(void(void), &table[2]);
	CHECK(static_call_query_at(void(void), &table[2]) == NULL);
	CHECK(static_call_at(long(int), &table[3], 1) == 0);
	CHECK(static_call_at(add, &codec.key, 1, 2) == 3);
	CHECK(static_call_update_at(add, &codec.key, pointer) == 0);
	CHECK(static_call_at(add, &codec.key, 1, 2) == -1);
	CHECK(codec.before == 7);

	struct static_call_change changes[] = { STATIC_CALL_CHANGE_AT(add, &table[0], subtract),
						STATIC_CALL_CHANGE_AT(void(void), &table[2], count),
						STATIC_CALL_CHANGE_RET0_AT(&table[3]) };
	calls = 0;
	CHECK(static_call_update_batch(changes, 3) == 0);
	CHECK(static_call_at(add, &table[0], 5, 3) == 2);
	static_call_at(void(void), &table[2]);
	CHECK(calls == 1);
}

int main(void)
{
	CHECK(static_call(no_arguments) == 1);
	CHECK(static_call_fn(no_arguments)() == 2);
	CHECK(static_call_update(no_arguments, ten) == 0);
	CHECK(static_call(no_arguments) == 12);
	CHECK(static_call_query(no_arguments) == ten);

	static_call(info);
	CHECK(calls == 13);
	CHECK(static_call(update, static_call(query, 1, 2), static_call(target, 3, 4)) == 10);
	CHECK(called_from_inline(1, 2) == 3);
	CHECK(static_call_update(defined_below, &subtract) == 0);
	CHECK(called_from_inline(1, 2) == -1);
	CHECK(static_call_update(defined_below, pointer) == 0);

	CHECK(local_key(5) == 604);
	CHECK(another_local_key(5) == 4);
	tables();

	struct static_call_info key;
	static DEFINE_STATIC_CALL(never_called, add);
	static_call_key_info(never_called, &key);
	CHECK(key.sites == 0 && key.keys == 0 && key.images == 0);
	static_call_key_info(no_arguments, &key);
	CHECK(key.sites == 0 || (key.sites == 3 && key.keys == 1 && key.images == 1));
	report();
	return 0;
}

DEFINE_STATIC_CALL(defined_below, add);
