/* Every name of static_branch.h but the arrays of keys (see kernel_keys.c), in the oldest C and C++ that it
 * supports, also compiled as C++. tests/tests/c_header.rs checks that none is missing. The names here differ
 * from the headers', so macros with all other names of the headers may precede it. */
#include <static_branch.h>

/* This field name is documented, so users have no macro of that name. */
#undef key

#define EXPECT(condition)                                                                           \
	do {                                                                                        \
		if (!(condition))                                                                   \
			return __LINE__;                                                            \
	} while (0)

DECLARE_STATIC_KEY_FALSE(declared_off);
DEFINE_STATIC_KEY_FALSE(declared_off);
DECLARE_STATIC_KEY_TRUE(declared_on);
DEFINE_STATIC_KEY_TRUE(declared_on);
static DEFINE_STATIC_KEY_FALSE_RO(fixed_off);
static DEFINE_STATIC_KEY_TRUE_RO(fixed_on);
static struct static_key plain[] = { STATIC_KEY_INIT_FALSE, STATIC_KEY_INIT_TRUE };
static struct {
	int other;
	struct static_key_false dim;
	struct static_key_true lit;
} inner = { 3, STATIC_KEY_FALSE_INIT, STATIC_KEY_TRUE_INIT };

static int sum;
static void add(int a) { sum += a; }
static DEFINE_STATIC_CALL_NULL(hook, add);

/* A bit for each branch that goes where its key is on. */
static int ways(void)
{
	int way = 0;

	if (static_branch_unlikely(&declared_off))
		way |= 1;
	if (static_branch_likely(&declared_off))
		way |= 2;
	if (static_branch_unlikely(&declared_on))
		way |= 4;
	if (static_branch_likely(&declared_on))
		way |= 8;
	if (static_branch_unlikely(&inner.dim))
		way |= 16;
	if (static_branch_likely(&inner.lit))
		way |= 32;
	if (static_branch_unlikely(&fixed_off) || !static_branch_likely(&fixed_on))
		way |= 64;
	static_call_lazy(hook, way);
	return way;
}

static int switches(void)
{
	EXPECT(ways() == 8 + 4 + 32 && sum == 0);
	EXPECT(static_branch_enable(&declared_off) == 0 && static_branch_disable(&declared_on) == 0);
	EXPECT(static_branch_inc(&inner.dim) == 0 && static_branch_dec(&inner.lit) == 0);
	EXPECT(ways() == 1 + 2 + 16);
	EXPECT(static_key_enabled(&declared_off) && !static_key_enabled(&declared_on));
	EXPECT(static_key_enabled(&inner.dim.key) && static_key_count(&inner.lit.key) == 0);
	EXPECT(static_branch_dec(&inner.dim) == 0 && static_branch_dec(&inner.dim) != 0);
	EXPECT(static_branch_inc(&declared_off) == 0 && static_key_count(&declared_off) == 2);
	EXPECT(static_branch_disable(&declared_off) != 0 && ways() == 1 + 2);
	EXPECT(static_branch_dec(&declared_off) == 0 && static_branch_disable(&declared_off) == 0);
	EXPECT(ways() == 0 && inner.other == 3);
	return 0;
}

static int others(void)
{
	struct static_call_change changes[] = { STATIC_BRANCH_CHANGE(&declared_off, 1),
						STATIC_BRANCH_CHANGE(&inner.lit, 1),
						STATIC_CALL_CHANGE(hook, add) };

	EXPECT(static_key_enable(&plain[0]) == 0 && static_key_disable(&plain[1]) == 0);
	EXPECT(static_key_enabled(&plain[0]) && static_key_count(&plain[1]) == 0);
	EXPECT(static_key_slow_inc(&plain[0]) == 0 && static_key_count(&plain[0]) == 2);
	EXPECT(static_key_slow_dec(&plain[1]) != 0);
	EXPECT(static_call_update_batch(changes, 3) == 0 && ways() == 1 + 2 + 32 && sum == 35);
	return 0;
}

int main(void)
{
	int line = switches();

	line = line ? line : others();
	return line > 255 ? 255 : line;
}
