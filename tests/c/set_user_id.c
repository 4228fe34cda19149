/* Prints whether the kernel has given it more rights than its user has, and reports its mode. It also
 * makes updates that are refused. */
#include <errno.h>
#include <sys/auxv.h>

#include "check.h"
#include <static_branch.h>

static DEFINE_STATIC_KEY_FALSE(traced);
static int one(void) { return 1; }
static DEFINE_STATIC_CALL(plain_key, one);
static DEFINE_STATIC_CALL_NULL(null_key, void(void));

int main(void)
{
	printf("secure %lu\n", getauxval(AT_SECURE));
	printf("traced %d\n", static_branch_unlikely(&traced) ? 1 : 0);
	CHECK(static_call(plain_key) == 1);
	static_call_cond(null_key);
	CHECK(static_call_update(plain_key, NULL) == -EINVAL);
	CHECK(static_call_update_ret0(null_key) == -EINVAL);
	report();
	return 0;
}
