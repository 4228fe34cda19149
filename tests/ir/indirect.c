/* Calls that load their key, and one that does not, each in its own function. */
#include <static_call.h>

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }

DEFINE_STATIC_CALL(ordinary, one);
static struct static_call_key table[2] = { STATIC_CALL_INIT(one), STATIC_CALL_INIT(two) };

#define NOINLINE __attribute__((noinline))

NOINLINE int direct(int x) { return static_call(ordinary, x) + 1; }
NOINLINE int indexed(int i, int x) { return static_call_at(one, &table[i & 1], x) + 1; }
NOINLINE int (*value(void))(int) { return (int (*)(int))__static_call_target(&ordinary__static_call_key); }
/* It is never called. */
NOINLINE int left_out(int i) { return static_call_at(one, &table[i & 1], 3) + 1; }

int main(int argc, char **argv)
{
	(void)argv;
	return direct(argc) != 3 || indexed(1, argc) != 4 || value()(argc) != 2;
}
