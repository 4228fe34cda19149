/* Time to load, to update and to unload images with many sites; run by `cargo xtask bench`.
 *
 *     image load ROUNDS WITH WITHOUT    loads and unloads two shared objects in turn
 *     image update ROUNDS IMAGE         updates the key k0 of a shared object to and fro
 *     image threads ROUNDS IMAGE        the same beside threads that sleep, of which there are 1, 8 or 64
 *
 * Prints one line a measurement: its name and nanoseconds. Those of an update are this thread's processor time:
 * on a busy machine, a thread that waits for its turn does not work. (It waits for nothing else here.)
 * The images come from xtask/src/bench/images.rs.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "static_call.h"

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double processor_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void *loaded(void *found)
{
	if (!found) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	return found;
}

static void load(const char *path, const char *name)
{
	double start = now();
	void *image = loaded(dlopen(path, RTLD_NOW | RTLD_LOCAL));
	double open = now();
	dlclose(image);
	double closed = now();

	printf("load-%s %.0f\nunload-%s %.0f\n", name, open - start, name, closed - open);
}

/* To ask for the processor time is a system call of its own. */
static double asking;

static void measure_asking(void)
{
	asking = 1e9;
	for (int times = 0; times < 1000; times++) {
		double start = processor_time();
		double elapsed = processor_time() - start;

		if (elapsed < asking)
			asking = elapsed;
	}
}

/* What the image's functions compute tells whether every site followed. */
static void check(long (*run)(long), long expected)
{
	long result = run(1);

	if (result != expected) {
		fprintf(stderr, "a site did not follow: %ld instead of %ld\n", result, expected);
		exit(1);
	}
}

static void update(void *key, void *target, const char *name)
{
	double start = processor_time();
	int error = __static_call_update(key, target);
	double end = processor_time();

	if (error) {
		fprintf(stderr, "the update failed: %s\n", strerror(-error));
		exit(1);
	}
	printf("%s %.0f\n", name, end - start - asking);
}

enum { THREADS_MAX = 64, UPDATES_A_ROUND = 20 };

/* All threads of a round have started, and all may end. */
static pthread_barrier_t started, done;

static void *sleeper(void *unused)
{
	pthread_barrier_wait(&started);
	pthread_barrier_wait(&done);
	return unused;
}

/* Each round has every number of threads, this one included. */
static void thread_rounds(const char *path, int rounds)
{
	static const int counts[] = { 1, 8, THREADS_MAX };
	void *image = loaded(dlopen(path, RTLD_NOW | RTLD_LOCAL));
	void *key = loaded(dlsym(image, "__static_call_key_k0"));
	void *targets[] = { loaded(dlsym(image, "first")), loaded(dlsym(image, "second")) };

	for (int round = 0; round < rounds; round++) {
		for (int number = 0; number < (int)(sizeof counts / sizeof *counts); number++) {
			int count = counts[number];
			pthread_t threads[THREADS_MAX];
			char name[32];

			pthread_barrier_init(&started, NULL, (unsigned)count);
			pthread_barrier_init(&done, NULL, (unsigned)count);
			for (int thread = 1; thread < count; thread++) {
				if (pthread_create(&threads[thread], NULL, sleeper, NULL)) {
					fprintf(stderr, "no more threads\n");
					exit(1);
				}
			}
			pthread_barrier_wait(&started);
			/* The first one waits for threads that are still on their way to sleep. */
			update(key, targets[1], "first-update");
			snprintf(name, sizeof name, "threads-%d", count);
			for (int times = 0; times < UPDATES_A_ROUND; times++)
				update(key, targets[times % 2], name);
			pthread_barrier_wait(&done);
			for (int thread = 1; thread < count; thread++)
				pthread_join(threads[thread], NULL);
			pthread_barrier_destroy(&started);
			pthread_barrier_destroy(&done);
		}
	}
}

static void update_rounds(const char *path, int rounds)
{
	void *image = loaded(dlopen(path, RTLD_NOW | RTLD_LOCAL));
	void *key = loaded(dlsym(image, "__static_call_key_k0"));
	void *targets[] = { loaded(dlsym(image, "first")), loaded(dlsym(image, "second")) };
	long (*run)(long) = (long (*)(long))loaded(dlsym(image, "run"));
	long expected[2];

	expected[0] = run(1);
	update(key, targets[1], "first-update");
	expected[1] = run(1);
	if (expected[0] == expected[1]) {
		fprintf(stderr, "no site follows\n");
		exit(1);
	}
	/* Nobody runs the sites in between: their code is in no instruction cache. */
	for (int round = 0; round < rounds; round++)
		update(key, targets[round % 2], "update");
	check(run, expected[(rounds - 1) % 2]);
	/* Every site has just run. */
	for (int round = 0; round < rounds; round++) {
		update(key, targets[round % 2], "update-hot");
		check(run, expected[round % 2]);
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 0;

	measure_asking();
	if (argc == 5 && !strcmp(argv[1], "load")) {
		for (int round = 0; round < rounds; round++) {
			load(argv[3], "with");
			load(argv[4], "without");
		}
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "update")) {
		update_rounds(argv[3], rounds);
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "threads")) {
		thread_rounds(argv[3], rounds);
		return 0;
	}
	fprintf(stderr, "usage: image load ROUNDS WITH WITHOUT | image (update|threads) ROUNDS IMAGE\n");
	return 2;
}
