/* A thread closes all files that it did not open, as some programs do to become daemons. One of them is
 * the file through which breakpoints are written. Whatever an update returns, calls reach the key's
 * target. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(key, one);
static atomic_int stop;

__attribute__((noinline)) static int call(void) { return static_call(key) + 0 * printf("%s", ""); }
__attribute__((noinline)) static int tail(void) { return static_call(key); }

static void *reader(void *unused)
{
	while (!atomic_load(&stop)) {
		int a = call(), b = tail();
		CHECK((a == 1 || a == 2) && (b == 1 || b == 2));
	}
	return unused;
}

static void *closer(void *unused)
{
	while (!atomic_load(&stop)) {
		syscall(SYS_close_range, 3, ~0U, 0);
		usleep(1);
	}
	return unused;
}

int main(void)
{
	pthread_t threads[3];
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&threads[i], NULL, i < 2 ? reader : closer, NULL) == 0);
	int failures = 0;
	for (int i = 0; i < 3000; i++) {
		int before = call(), result = PATIENTLY(static_call_update(key, i % 2 ? one : two));
		CHECK(result == 0 || result == -EACCES);
		failures += result != 0;
		int expected = result ? before : i % 2 ? 1 : 2;
		CHECK(call() == expected && tail() == expected);
		CHECK(static_call_query(key) == (expected == 1 ? one : two));
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	printf("%d updates failed\n", failures);
	/* These updates finish what failed ones left undone. */
	CHECK(static_call_update(key, one) == 0 && static_call_update(key, two) == 0 && call() == 2 &&
	      tail() == 2);
	report();
	return 0;
}
