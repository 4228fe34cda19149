/* No function of the library is a cancellation point: a cancelled thread completes the function, and ends
 * at its own next cancellation point. Otherwise it would end during an update and never release the lock. */
#include "restrict.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

#include "fork.h"
#include "plugin_host.h"

int host_default(int a) { return a + 1; }
static int other(int a) { return a + 2; }
static void hook(int *a) { *a = 1; }
__attribute__((visibility("default"))) DEFINE_STATIC_CALL(host_key, host_default);
static DEFINE_STATIC_CALL_NULL(off, void(int *));

static const char *plugin;
static atomic_int is_cancelled, steps;
static int seals;

__attribute__((noinline)) static int call(int a)
{
	int hooked = 0;
	static_call_cond(off, &hooked);
	return static_call(host_key, a) + 10 * hooked;
}

static void step(int is_so)
{
	CHECK(is_so);
	steps++;
}

static void *worker(void *unused)
{
	/* This thread must not reach a cancellation point before it is cancelled. */
	while (!is_cancelled)
		;
	for (int i = 0; i < 3; i++) {
		step(PATIENTLY(static_call_update(host_key, other)) == 0 && call(0) == 2);
		struct static_call_change changes[] = { STATIC_CALL_CHANGE(host_key, host_default),
							STATIC_CALL_CHANGE(off, hook) };
		step(static_call_update_batch(changes, 2) == 0 && call(0) == 11);
		step(static_call_update(off, NULL) == 0 && call(0) == 1);
		step(static_call_update(host_key, NULL) == -EINVAL);
	}
	void *library = dlopen(plugin, RTLD_NOW | RTLD_LOCAL);
	plugin_call *own = library ? (plugin_call *)dlsym(library, "plugin_call_own") : NULL;
	plugin_update *update = library ? (plugin_update *)dlsym(library, "plugin_update_own") : NULL;
	step(own && update && own(1) == 2 && update() == 0 && own(1) == 3);
	step(dlclose(library) == 0);
	struct static_call_info info;
	static_call_process_info(&info);
	step(info.sites == info.direct + info.through_trampoline);
	step(static_call_query(host_key) == host_default && static_call_mode_reason() != NULL);
	static_call_writer();
	if (seals) {
		int error = static_call_seal();
		step(error == 0 || error == -EACCES);
		step(static_call_update(host_key, other) == -EROFS);
	}
	steps = -steps;
	pthread_testcancel();
	steps = 1000;
	return unused;
}

static void cancel_a_worker(void)
{
	pthread_t thread;
	void *result;
	is_cancelled = steps = 0;
	CHECK(pthread_create(&thread, NULL, worker, NULL) == 0);
	CHECK(pthread_cancel(thread) == 0);
	is_cancelled = 1;
	CHECK(pthread_join(thread, &result) == 0);
	if (result != PTHREAD_CANCELED || steps >= 0) {
		fprintf(stderr, "the thread ended after %d steps\n", steps);
		abort();
	}
	/* The lock is free, in a child too. */
	alarm(20);
	const int expected = seals ? -EROFS : 0;
	CHECK(static_call_update(host_key, other) == expected);
	CHECK(static_call_update(host_key, host_default) == expected && call(0) == 1);
	pid_t child = fork();
	if (child == 0)
		_exit(static_call_query(host_key) == host_default ? 0 : 1);
	CHECK(status_of(child) == 0);
	alarm(0);
}

/* cancelled PLUGIN RIGHT: gives up this right before the second round. */
int main(int argc, char **argv)
{
	CHECK(argc == 3);
	plugin = argv[1];
	cancel_a_worker();
	if (give_up(argv[2])) {
		perror(argv[2]);
		return 77;
	}
	cancel_a_worker();
	seals = 1;
	cancel_a_worker();
	report();
	return 0;
}
