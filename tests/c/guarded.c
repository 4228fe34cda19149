/* AArch64: after its calls were patched, guarded_library.c's code still refuses indirect branches without
 * landing pads. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

#include "check.h"

int call(int x);
int update(void);
int enter_without_a_landing_pad(void);

static sigjmp_buf out;

static void refused(int signal) { siglongjmp(out, signal); }

int main(void)
{
	CHECK(call(1) == 2);
	CHECK(update() == 0);
	CHECK(call(1) == 3);
	signal(SIGILL, refused);
	if (!sigsetjmp(out, 1)) {
		enter_without_a_landing_pad();
		fprintf(stderr, "nobody minds\n");
		return 1;
	}
	report();
	return 0;
}
