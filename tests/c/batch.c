/* Several updates as one: all or none are made, and the same call undoes them. */
#include <errno.h>

#include "check.h"

static int one(int a) { return a + 1; }
static int two(int a) { return a + 2; }
static void observe(int *a) { *a += 1; }
static long big(void) { return 1000; }

static DEFINE_STATIC_CALL(first, one);
static DEFINE_STATIC_CALL(second, one);
static DEFINE_STATIC_CALL_NULL(hook, observe);
static DEFINE_STATIC_CALL_RET0(level, big);

/* More keys than the runtime compares one by one. */
#define MANY 100
__extension__ static struct static_call_key table[MANY] = { [0 ... MANY - 1] = STATIC_CALL_INIT(one) };

/* Whether or not the batch succeeds, the array keeps its order. */
static void many(void)
{
	struct static_call_change changes[MANY + 1], again[MANY + 1];
	for (int i = 0; i < MANY; i++) {
		struct static_call_change change =
			STATIC_CALL_CHANGE_AT(one, &table[i * 37 % MANY], i % 3 ? two : one);
		changes[i] = again[i] = change;
	}
	changes[MANY] = again[MANY] = changes[MANY / 2];
	CHECK(static_call_update_batch(changes, MANY + 1) == -EINVAL);
	for (int i = 0; i <= MANY; i++)
		CHECK(changes[i].__key == again[i].__key && changes[i].__target == again[i].__target &&
		      changes[i].__form == again[i].__form);
	for (int round = 0; round < 2; round++) {
		CHECK(static_call_update_batch(changes, MANY) == 0);
		for (int i = 0; i < MANY; i++) {
			CHECK(changes[i].__key == again[i].__key && changes[i].__form == again[i].__form);
			CHECK((void (*)(void))changes[i].__target ==
			      (round ? again[i].__target : (void (*)(void))one));
			CHECK(static_call_at(one, changes[i].__key, 10) == (!round && i % 3 ? 12 : 11));
		}
	}
}

static long all(void)
{
	int hooked = 0;
	static_call_cond(hook, &hooked);
	return static_call(first, 10) * 1000000 + static_call(second, 10) * 10000 + hooked +
	       static_call(level);
}

int main(void)
{
	const long before = 11110000, after = 12111001;
	CHECK(all() == before);

	struct static_call_change changes[] = { STATIC_CALL_CHANGE(first, two),
						STATIC_CALL_CHANGE(hook, observe),
						STATIC_CALL_CHANGE(level, big) };
	for (int round = 0; round < 3; round++) {
		CHECK(static_call_update_batch(changes, 3) == 0);
		CHECK(all() == after);
		CHECK(static_call_update_batch(changes, 3) == 0);
		CHECK(all() == before);
		CHECK(!static_call_query(hook));
	}

	struct static_call_change twice[] = { STATIC_CALL_CHANGE(first, two),
					      STATIC_CALL_CHANGE(first, one) };
	CHECK(static_call_update_batch(twice, 2) == -EINVAL);
	struct static_call_change no_null[] = { STATIC_CALL_CHANGE(first, two),
						STATIC_CALL_CHANGE(second, NULL) };
	CHECK(static_call_update_batch(no_null, 2) == -EINVAL);
	struct static_call_change no_zero[] = { STATIC_CALL_CHANGE(first, two),
						STATIC_CALL_CHANGE_RET0(hook) };
	CHECK(static_call_update_batch(no_zero, 2) == -EINVAL);
	CHECK(all() == before);

	/* Targets NULL and "return 0", and keys that do not change. */
	struct static_call_change on[] = { STATIC_CALL_CHANGE(hook, observe),
					   STATIC_CALL_CHANGE(level, big) };
	CHECK(static_call_update_batch(on, 2) == 0);
	CHECK(all() == before + 1001);
	struct static_call_change off[] = { STATIC_CALL_CHANGE(hook, NULL), STATIC_CALL_CHANGE_RET0(level),
					    STATIC_CALL_CHANGE(second, one) };
	CHECK(static_call_update_batch(off, 3) == 0);
	CHECK(all() == before);
	CHECK(static_call_update_batch(off, 3) == 0);
	CHECK(all() == before + 1001);
	CHECK(static_call_update_batch(NULL, 0) == 0);
	many();
	report();
	return 0;
}
