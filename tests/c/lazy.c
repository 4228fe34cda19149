/* Lazy dispatch: a default chooses, updates its own key, and calls its choice itself. It does not call the
 * key again, because after a refused update that would recurse for ever.
 *
 *     lazy           entered by eight threads at once
 *     lazy sealed    updates are refused before the first call
 *     lazy masked    updates are refused while a thread blocks all signals, including SIGTRAP
 */
#include "restrict.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "check.h"

enum { THREADS = 8, ROUNDS = 200 };

static pthread_barrier_t barrier;
static atomic_int looked, chosen, wrong, error;

static int choose(int a);
static int best(int a)
{
	atomic_fetch_add(&chosen, 1);
	return a * 2;
}
static DEFINE_STATIC_CALL(work, choose);

static int choose(int a)
{
	atomic_fetch_add(&looked, 1);
	/* If the update is refused, the next call tries again. */
	atomic_store(&error, static_call_update(work, best));
	return best(a);
}

static void *enter(void *unused)
{
	(void)unused;
	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&barrier);
		if (static_call(work, round) != round * 2)
			atomic_fetch_add(&wrong, 1);
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			CHECK(PATIENTLY(static_call_update(work, choose)) == 0);
	}
	return NULL;
}

static void by_eight_threads(void)
{
	pthread_t threads[THREADS];
	CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, enter, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(atomic_load(&wrong) == 0 && atomic_load(&error) == 0);
	CHECK(atomic_load(&chosen) == THREADS * ROUNDS && atomic_load(&looked) >= ROUNDS);
}

/* All calls are right. If updates fail, each call chooses again. */
static void call_refused(int count, int expected)
{
	for (int i = 0; i < count; i++)
		CHECK(static_call(work, i) == i * 2);
	CHECK(atomic_load(&chosen) == count && atomic_load(&error) == expected);
	CHECK(atomic_load(&looked) == (expected ? count : 1));
	CHECK(static_call_query(work) == (expected ? choose : best));
}

static void *block_all_signals(void *unused)
{
	sigset_t all;
	(void)unused;
	sigfillset(&all);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

/* lazy masked EXPECTED: the result of updates, if there is patched code. */
static void while_a_thread_blocks_all_signals(int expected)
{
	struct static_call_info info;
	pthread_t thread;

	static_call_process_info(&info);
	/* Without the pass, trampolines are patched from the start only on request. */
	const char *const asked = getenv("STATIC_CALL_MODE");
	const int is_patched = info.sites || (info.images && asked && !strcmp(asked, "trampoline"));
	if (static_call_mode() == STATIC_CALL_MODE_GENERIC || !is_patched)
		expected = 0;
	CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0);
	CHECK(pthread_create(&thread, NULL, block_all_signals, NULL) == 0);
	pthread_barrier_wait(&barrier);
	call_refused(20, expected);
	pthread_barrier_wait(&barrier);
	CHECK(pthread_join(thread, NULL) == 0);

	/* Once updates are accepted again, one of the next calls is the last to choose. */
	const time_t start = time(NULL);
	while (expected == -EAGAIN && static_call_query(work) == choose) {
		CHECK(static_call(work, 21) == 42);
		CHECK(time(NULL) - start < 20);
	}
}

int main(int argc, char **argv)
{
	if (argc == 1)
		by_eight_threads();
	else if (!strcmp(argv[1], "sealed")) {
		/* Without the pass, the seal fails, but updates are refused nevertheless. */
		struct static_call_info info;
		static_call_process_info(&info);
		CHECK(static_call_seal() == 0 || info.sites == 0 ||
		      static_call_mode() == STATIC_CALL_MODE_GENERIC);
		call_refused(1000, -EROFS);
	} else {
		CHECK(argc == 3);
		if (give_up("mdwe")) {
			perror("mdwe");
			return 77;
		}
		while_a_thread_blocks_all_signals(atoi(argv[2]));
	}
	report();
	return 0;
}
