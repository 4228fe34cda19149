/* Lazy dispatch: a default that updates its own key and calls through it, entered by eight threads at once. */
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

enum { THREADS = 8, ROUNDS = 200 };

static pthread_barrier_t barrier;
static atomic_int looked, chosen, wrong;

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
	report();
	return 0;
}
