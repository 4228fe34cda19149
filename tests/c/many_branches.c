/* Lists 1,000 keys of branches, or 2,000 (-DTWO_THOUSAND), in the section of keys or elsewhere (-DELSEWHERE).
 * tests/instructions.rs counts the instructions with callgrind. */
#include "check.h"

#include <static_branch.h>
#include <static_call_registry.h>

#ifdef TWO_THOUSAND
#define COUNT 2000
#else
#define COUNT 1000
#endif

#ifdef ELSEWHERE
static struct static_key_false keys[COUNT] = { [0 ... COUNT - 1] = STATIC_KEY_FALSE_INIT };
#else
static DEFINE_STATIC_KEY_ARRAY_FALSE(keys, COUNT);
#endif

/* The number's digits, with a 1 in front: zeros would make it octal. */
#define ONE(number)                                                                                  \
	if (static_branch_unlikely(&keys[number - 10000]))                                           \
		x++;
#define TEN(n)                                                                                       \
	ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)
#define HUNDRED(n)                                                                                   \
	TEN(n##0) TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4) TEN(n##5) TEN(n##6) TEN(n##7) TEN(n##8) TEN(n##9)
#define THOUSAND(n)                                                                                  \
	HUNDRED(n##0)                                                                                \
	HUNDRED(n##1)                                                                                \
	HUNDRED(n##2)                                                                                \
	HUNDRED(n##3)                                                                                \
	HUNDRED(n##4)                                                                                \
	HUNDRED(n##5)                                                                                \
	HUNDRED(n##6)                                                                                \
	HUNDRED(n##7)                                                                                \
	HUNDRED(n##8)                                                                                \
	HUNDRED(n##9)

__attribute__((noinline)) static int run_all(void)
{
	int x = 0;

	THOUSAND(10)
#ifdef TWO_THOUSAND
	THOUSAND(11)
#endif
	return x;
}

int main(void)
{
	struct static_call_entry entry = STATIC_CALL_FIRST;
	size_t keys_found = 0, branches = 0;

	while (static_call_next("*", &entry) > 0) {
		keys_found++;
		branches += entry.info.branches;
	}
	CHECK(keys_found == COUNT && branches == COUNT);
	CHECK(static_branch_enable(&keys[COUNT - 1]) == 0);
	CHECK(run_all() == 1);
	return 0;
}
