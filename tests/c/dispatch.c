/* Keys that dispatch: chosen when the program is loaded, or by their constructors, and never refused. With an
 * argument the program first loses what updates need. */
#include "restrict.h"

#include <pthread.h>
#include <signal.h>

#include "check.h"
#include "dispatch.h"

static int resolved;

static int plain(int a) { return a + 1; }
#ifdef __x86_64__
__attribute__((target("sse4.2"))) /* of which it needs nothing */
#endif
static int wide(int a)
{
	return a + 2;
}
static int later(int a) { return a + 3; }

static int (*choose(void))(int)
{
	resolved++;
#ifdef __x86_64__
	__builtin_cpu_init();
	return __builtin_cpu_supports("sse4.2") ? wide : plain;
#else
	return wide;
#endif
}
DEFINE_STATIC_CALL_DISPATCH(chosen, plain, choose);

/* As ifuncs may: the choice is the default. */
static int (*choose_none(void))(int) { return NULL; }
static DEFINE_STATIC_CALL_DISPATCH(not_chosen, plain, choose_none);

/* A resolver that calls a key that may not be resolved yet, and updates one. */
static int (*choose_by_call(void))(int)
{
	const int sum = static_call(chosen, 1);

	CHECK(sum == 2 || sum == 3);
	if (static_call_update(not_chosen, plain)) {
	}
	return wide;
}
static DEFINE_STATIC_CALL_DISPATCH(chosen_by_call, plain, choose_by_call);

/* The constructors with a priority run first. */
static int early;
__attribute__((constructor(101))) static void call_early(void) { early = static_call(chosen, 0); }

static int in_handler;
static void handler(int number)
{
	(void)number;
	in_handler = static_call(chosen, 0);
}

static void *call(void *argument)
{
	int *sum = argument;

	for (int i = 0; i < 100; i++)
		*sum += static_call(chosen, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	pthread_t threads[8];
	int sums[8] = { 0 };

	if (strcmp(how, "sealed") == 0) {
		if (static_call_seal()) {
		}
	} else if (strcmp(how, "mdwe") == 0) {
		CHECK(deny_write_execute() == 0);
	} else if (strcmp(how, "seccomp") == 0) {
		CHECK(forbid_executable_memory() == 0);
	} else if (strcmp(how, "masked") == 0) {
		sigset_t set;
		sigemptyset(&set);
		sigaddset(&set, SIGTRAP);
		CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	} else if (strcmp(how, "signal") == 0) {
		CHECK(signal(SIGUSR1, handler) != SIG_ERR && raise(SIGUSR1) == 0);
		CHECK(in_handler == 2);
	}
	for (int i = 0; i < 8; i++)
		CHECK(pthread_create(&threads[i], NULL, call, &sums[i]) == 0);
	for (int i = 0; i < 8; i++)
		CHECK(pthread_join(threads[i], NULL) == 0 && sums[i] == 200);

	CHECK(early == 1 || early == 2);
	CHECK(resolved == 1);
	CHECK(static_call(chosen, 1) == 3 && static_call_query(chosen) == wide);
	CHECK(static_call(not_chosen, 1) == 2 && static_call_query(not_chosen) == plain);
	CHECK(static_call(chosen_by_call, 1) == 3 && static_call_query(chosen_by_call) == wide);
	CHECK(static_call(declared, 1) == 3 && from_the_other_file(1) == 6);
	report();
	if (*how)
		return 0;
	/* It is a key like any other, but for NULL. */
	CHECK(static_call_update(chosen, NULL) == -EINVAL);
	CHECK(static_call_update(chosen, later) == 0 && static_call(chosen, 1) == 4);
	CHECK(static_call_update(chosen, plain) == 0 && static_call(chosen, 1) == 2);
	CHECK(resolved == 1);
	return 0;
}
