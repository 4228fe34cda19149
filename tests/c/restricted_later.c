/* The process loses the right to write code after its calls were made direct. Updates then use another
 * writer, or fail and change nothing. */
#include "restrict.h"

#include "check.h"

static int one(void) { return 1; }
static int two(void) { return 2; }
static void hook(int *a) { *a = 1; }
static DEFINE_STATIC_CALL(first, one);
static DEFINE_STATIC_CALL(second, one);
static DEFINE_STATIC_CALL_NULL(off, void(int *));
static DEFINE_STATIC_CALL(never_called, one);

static int all(void)
{
	int hooked = 0;
	static_call_cond(off, &hooked);
	return static_call(first) * 100 + static_call(second) * 10 + hooked;
}

/* restricted_later RIGHT EXPECTED: the result of updates afterwards, if there is patched code. */
int main(int argc, char **argv)
{
	CHECK(argc == 3);
	CHECK(static_call_update(first, two) == 0 && all() == 210);
	if (give_up(argv[1])) {
		perror(argv[1]);
		return 77;
	}
	/* Without patched code there is nothing to refuse. */
	int expected = static_call_mode() == STATIC_CALL_MODE_GENERIC ? 0 : atoi(argv[2]);
	struct static_call_info info;
	static_call_process_info(&info);
	if (info.sites == 0 && info.images == 0)
		expected = 0;
	if (info.sites == 0 && info.images > 0) {
		/* A trampoline that was not patched jumps through its key, which can always be stored. */
		CHECK(static_call_update(first, one) == expected);
		CHECK(all() == (expected ? 210 : 110) && static_call_query(first) == (expected ? two : one));
		const int result = static_call_update(off, hook);
		CHECK(result == 0 || result == expected);
		CHECK(all() % 10 == (result == 0) && (static_call_query(off) != NULL) == (result == 0));
		report();
		return 0;
	}

	CHECK(static_call_update(first, one) == expected);
	CHECK(all() == (expected ? 210 : 110));
	CHECK(static_call_query(first) == (expected ? two : one));
	CHECK(static_call_update(off, hook) == expected);
	CHECK(all() == (expected ? 210 : 111));
	CHECK((static_call_query(off) == NULL) == (expected != 0));
	struct static_call_change changes[] = { STATIC_CALL_CHANGE(second, two),
						STATIC_CALL_CHANGE(first, one) };
	CHECK(static_call_update_batch(changes, 2) == expected);
	CHECK(all() == (expected ? 210 : 121));
	/* The array is unchanged. Updates of uncalled keys, and updates to the current target, still
	 * succeed. */
	CHECK(static_call_update_batch(changes, 2) == expected);
	CHECK(all() == (expected ? 210 : 111));
	CHECK(static_call_update(never_called, two) == 0 && static_call_query(never_called) == two);
	CHECK(static_call_update(second, one) == 0);
	report();
	return 0;
}
