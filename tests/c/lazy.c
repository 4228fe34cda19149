/* Lazy dispatch: a default that updates its own key and calls through it, entered by eight threads at
 * once; and threads that call while others update. */
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

enum { THREADS = 8, KEYS = 4, ROUNDS = 200 };

static pthread_barrier_t barrier;
static atomic_int looked, chosen, wrong;
static atomic_bool stop;

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
	CHECK(static_call_update(work, best) == 0);
	return static_call(work, a);
}

static void *enter(void *unused)
{
	(void)unused;
	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&barrier);
		if (static_call(work, round) != round * 2)
			atomic_fetch_add(&wrong, 1);
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			CHECK(static_call_update(work, choose) == 0);
	}
	return NULL;
}

static atomic_int published;
static int zero(void) { return 0; }
static int one(void) { return 1; }
static DEFINE_STATIC_CALL(flag, zero);

/* Once an update has returned, no call that starts afterwards reaches the old target. */
static void *call(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop)) {
		int before = atomic_load(&published);
		int value = static_call(flag);
		int after = atomic_load(&published);
		if (value != 0 && value != 1)
			atomic_fetch_add(&wrong, 1);
		if (before == after && before % 2 == 0 && value != before / 2 % 2)
			atomic_fetch_add(&wrong, 1);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, enter, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(atomic_load(&wrong) == 0);
	CHECK(atomic_load(&chosen) == THREADS * ROUNDS && atomic_load(&looked) >= ROUNDS);

	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&threads[i], NULL, call, NULL) == 0);
	for (int i = 1; i < 4000; i++) {
		atomic_store(&published, i * 2 - 1); /* odd: an update is under way */
		CHECK(static_call_update(flag, i % 2 ? one : zero) == 0);
		atomic_store(&published, i * 2);
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(atomic_load(&wrong) == 0);
	report();
	return 0;
}
