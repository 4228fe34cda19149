/* Unusual control flow: longjmp out of targets, fork, and updates from within a target. */
#include <setjmp.h>

#include "fork.h"

static jmp_buf back;

static int stay(int a) { return a + 1; }
static int leave(int a) { longjmp(back, a); }
static DEFINE_STATIC_CALL(jump, stay);

static void jumps(void)
{
	for (int round = 0; round < 2; round++) {
		CHECK(static_call(jump, 1) == 2);
		CHECK(static_call_update(jump, leave) == 0);
		volatile int passed = 0;
		int value = setjmp(back);
		if (value == 0) {
			static_call(jump, 42);
			passed = 1;
		}
		CHECK(value == 42 && !passed);
		CHECK(static_call_update(jump, stay) == 0);
	}
}

static int parent(void) { return 1; }
static int child(void) { return 2; }
static DEFINE_STATIC_CALL(who, parent);

/* An update in a child does not affect its parent. */
static void forks(void)
{
	for (int round = 0; round < 3; round++) {
		fflush(stdout);
		pid_t pid = fork();
		if (pid == 0) {
			CHECK(static_call(who) == 1);
			CHECK(static_call_update(who, child) == 0);
			CHECK(static_call(who) == 2);
			_exit(7);
		}
		const int status = status_of(pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
		CHECK(static_call(who) == 1);
		CHECK(static_call_update(who, child) == 0 && static_call(who) == 2);
		CHECK(static_call_update(who, parent) == 0);
	}
}

/* The target updates its key while callers are inside it, several levels deep. */
static int shallow(int depth) { return depth * 1000; }
static int deep(int depth);
static DEFINE_STATIC_CALL(recursive, deep);
static int deep(int depth)
{
	if (depth == 5)
		CHECK(static_call_update(recursive, shallow) == 0);
	return 1 + static_call(recursive, depth + 1);
}

int main(void)
{
	jumps();
	forks();
	CHECK(static_call(recursive, 0) == 6006);
	CHECK(static_call(recursive, 0) == 0);
	report();
	return 0;
}
