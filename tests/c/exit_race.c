/* The process exits while other threads call and update. No thread hits a breakpoint without a handler. */
#include <pthread.h>

#include "fork.h"

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(key, one);
static int is_slow;

__attribute__((noinline)) static int call(void) { return static_call(key) * 1; }

static void *caller(void *unused)
{
	for (;;) {
		int result = call();
		CHECK(result == 1 || result == 2);
	}
	return unused;
}

static void *updater(void *unused)
{
	for (int i = 0;; i++)
		CHECK(PATIENTLY(static_call_update(key, i % 2 ? one : two)) == 0);
	return unused;
}

__attribute__((destructor)) static void last(void)
{
	if (is_slow)
		usleep(4000);
}

int main(void)
{
	for (int i = 0; i < 250; i++) {
		pid_t child = fork();
		if (child == 0) {
			pthread_t threads[2];
			is_slow = i % 8 != 0;
			CHECK(pthread_create(&threads[0], NULL, caller, NULL) == 0);
			CHECK(pthread_create(&threads[1], NULL, updater, NULL) == 0);
			usleep(1000 + i * 4);
			exit(0);
		}
		const int status = status_of(child);
		if (status) {
			fprintf(stderr, "child %d: status %#x\n", i, status);
			return 1;
		}
	}
	report();
	return 0;
}
