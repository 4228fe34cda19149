/* Time to load, to update and to unload images with many sites; run by `cargo xtask bench`.
 *
 *     image load ROUNDS WITH WITHOUT    loads and unloads two shared objects in turn
 *     image update ROUNDS IMAGE         updates the key k0 of a shared object to and fro
 *     image sleeping ROUNDS IMAGE N...  the same in a process of N threads, while all others sleep
 *     image calling ROUNDS IMAGE N...   the same beside N threads that call, if possible on other processors
 *     image batch ROUNDS IMAGE OTHERS N...    updates of N keys, one by one and as a transaction, in turns,
 *                                       beside this number of threads that call
 *
 * Prints one line a measurement: its name and nanoseconds. They are this thread's processor time:
 * on a busy machine, a thread that waits for its turn does not work. (It waits for nothing else here.)
 * The images come from benches/harness/src/images.rs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <static_branch.h>

#include "process.h"

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

/* Reading the processor time is a system call of its own. */
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

static void load(const char *path, const char *name)
{
	double start = processor_time();
	void *image = loaded(dlopen(path, RTLD_NOW | RTLD_LOCAL));
	double open = processor_time();
	dlclose(image);
	double closed = processor_time();

	printf("load-%s %.0f\nunload-%s %.0f\n", name, open - start - asking, name, closed - open - asking);
}

/* The result of the image's functions shows whether every site followed. */
static void check(long (*run)(long), long expected)
{
	long result = run(1);

	if (result != expected) {
		fprintf(stderr, "a site did not follow: %ld instead of %ld\n", result, expected);
		exit(1);
	}
}

/* The key of an image whose sites are branches. */
static struct static_key_false *branch;

static int change_key(void *key, void *target)
{
	if (!branch)
		return __static_call_update(key, target);
	return target ? static_branch_enable(branch) : static_branch_disable(branch);
}

static void update(void *key, void *target, const char *name)
{
	double start = processor_time();
	int error = change_key(key, target);
	double end = processor_time();

	if (error) {
		fprintf(stderr, "the update failed: %s\n", strerror(-error));
		exit(1);
	}
	printf("%s %.0f\n", name, end - start - asking);
}

enum { THREADS_MAX = 64, UPDATES_A_ROUND = 20 };

struct image {
	void *handle, *key, *targets[2];
	long (*run)(long);
};

static struct image image_at(const char *path)
{
	struct image image = { .handle = loaded(dlopen(path, RTLD_NOW | RTLD_LOCAL)) };

	branch = dlsym(image.handle, "k0");
	image.key = branch ? branch : loaded(dlsym(image.handle, "k0__static_call_key"));
	image.targets[0] = branch ? NULL : loaded(dlsym(image.handle, "first"));
	image.targets[1] = loaded(dlsym(image.handle, "second"));
	image.run = (long (*)(long))loaded(dlsym(image.handle, "run"));
	return image;
}

/* Whether all threads of a round have started, and whether they may end. */
static pthread_barrier_t started, done;
static int is_over;

static void *sleep_along(void *unused)
{
	pthread_barrier_wait(&started);
	pthread_barrier_wait(&done);
	return unused;
}

/* Binds this thread to the first processor that we may use, or to all others if there are any. */
static void stay(int on_first)
{
	static cpu_set_t allowed;
	cpu_set_t set;
	int first = 0;

	if (!CPU_COUNT(&allowed) && sched_getaffinity(0, sizeof allowed, &allowed)) {
		perror("sched_getaffinity");
		exit(1);
	}
	while (!CPU_ISSET(first, &allowed))
		first++;
	set = allowed;
	CPU_CLR(first, &set);
	if (on_first || !CPU_COUNT(&set)) {
		CPU_ZERO(&set);
		CPU_SET(first, &set);
	}
	if (sched_setaffinity(0, sizeof set, &set)) {
		perror("sched_setaffinity");
		exit(1);
	}
}

static void *call_along(void *image)
{
	long (*run)(long) = ((struct image *)image)->run;
	long x = 1;

	stay(0);
	pthread_barrier_wait(&started);
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED))
		x = run(x);
	pthread_barrier_wait(&done);
	return (void *)(x | 1);
}

static pthread_t threads[THREADS_MAX];

/* Returns when this many threads run. */
static void start_threads(int count, void *(*work)(void *), struct image *image)
{
	is_over = 0;
	pthread_barrier_init(&started, NULL, (unsigned)count + 1);
	pthread_barrier_init(&done, NULL, (unsigned)count + 1);
	for (int thread = 0; thread < count; thread++) {
		if (pthread_create(&threads[thread], NULL, work, image)) {
			fprintf(stderr, "no more threads\n");
			exit(1);
		}
	}
	pthread_barrier_wait(&started);
	usleep(1000);
}

static void end_threads(int count)
{
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	pthread_barrier_wait(&done);
	for (int thread = 0; thread < count; thread++)
		pthread_join(threads[thread], NULL);
	pthread_barrier_destroy(&started);
	pthread_barrier_destroy(&done);
}

/* How many threads an argument asks for, besides this one. */
static int thread_count(const char *text, int is_this_included)
{
	int others = atoi(text) - is_this_included;

	if (others < 0 || others > THREADS_MAX) {
		fprintf(stderr, "%s threads are too few or too many\n", text);
		exit(2);
	}
	return others;
}

/* Each round has every number of threads. */
static void thread_rounds(const char *path, int rounds, char **counts, int is_calling)
{
	struct image image = image_at(path);

	/* Before other threads start: this thread learns here which processors it may use. */
	stay(1);
	for (int round = 0; round < rounds; round++) {
		for (char **count = counts; *count; count++) {
			/* The sleeping threads include this one. */
			int others = thread_count(*count, !is_calling);
			char name[32];

			snprintf(name, sizeof name, "threads-%s", *count);
			start_threads(others, is_calling ? call_along : sleep_along, &image);
			update(image.key, image.targets[1], "first-update");
			for (int times = 0; times < UPDATES_A_ROUND; times++)
				update(image.key, image.targets[times % 2], name);
			end_threads(others);
		}
	}
}

/* Makes changes one by one, or as a transaction. */
static void
change(struct static_call_change *changes, size_t count, void *target, int as_batch, const char *name)
{
	int error = 0;

	for (size_t i = 0; i < count; i++)
		changes[i].__target = target;
	double start = processor_time();
	if (as_batch)
		error = static_call_update_batch(changes, count);
	else
		for (size_t i = 0; i < count && !error; i++)
			error = __static_call_update(changes[i].__key, target);
	double end = processor_time();

	if (error) {
		fprintf(stderr, "an update failed: %s\n", strerror(-error));
		exit(1);
	}
	printf("%s-%s %.0f\n", as_batch ? "batch" : "single", name, end - start - asking);
}

/* The same changes, one by one and as a transaction; in turns, one makes them and the other reverts them. */
static void batch_rounds(const char *path, int rounds, int others, char **counts)
{
	struct image image = image_at(path);
	long first = image.run(1);

	stay(1);
	start_threads(others, call_along, &image);
	for (char **text = counts; *text; text++) {
		size_t count = (size_t)atoi(*text);
		struct static_call_change *changes = calloc(count, sizeof *changes);
		long second = first;

		for (size_t i = 0; i < count; i++) {
			char name[64];

			snprintf(name, sizeof name, "k%zu__static_call_key", i);
			changes[i].__key = loaded(dlsym(image.handle, name));
		}
		for (int round = 0; round < rounds; round++) {
			change(changes, count, image.targets[1], round % 2, *text);
			if (round == 0)
				second = image.run(1);
			check(image.run, second);
			change(changes, count, image.targets[0], !(round % 2), *text);
			check(image.run, first);
		}
		if (first == second) {
			fprintf(stderr, "no site follows\n");
			exit(1);
		}
		free(changes);
	}
	end_threads(others);
}

/* The cost of an update if calls load a pointer: one store. */
static void *slot;

static void measure_store(void *targets[2])
{
	enum { STORES = 1000 };
	double start = processor_time();

	for (int i = 0; i < STORES; i++)
		__atomic_store_n(&slot, targets[i % 2], __ATOMIC_RELEASE);
	printf("store %.3f\n", (processor_time() - start - asking) / STORES);
}

static void update_rounds(const char *path, int rounds)
{
	struct image image = image_at(path);
	long expected[2];
	int next = 0;

	expected[0] = image.run(1);
	update(image.key, image.targets[1], "first-update");
	expected[1] = image.run(1);
	if (expected[0] == expected[1]) {
		fprintf(stderr, "no site follows\n");
		exit(1);
	}
	/* The sites do not run in between. */
	for (int round = 0; round < rounds; round++, next = !next) {
		update(image.key, image.targets[next], "update");
		measure_store(image.targets);
	}
	check(image.run, expected[!next]);
	/* Every site has just run. */
	for (int round = 0; round < rounds; round++, next = !next) {
		update(image.key, image.targets[next], "update-hot");
		check(image.run, expected[next]);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int rounds = argc > 2 ? atoi(argv[2]) : 0;

	measure_asking();
	if (argc == 5 && !strcmp(what, "load")) {
		for (int round = 0; round < rounds; round++) {
			/* Each comes first equally often. */
			for (int turn = 0; turn < 2; turn++) {
				int without = (round + turn) % 2;

				load(argv[3 + without], without ? "without" : "with");
			}
		}
	} else if (argc == 4 && !strcmp(what, "update")) {
		update_rounds(argv[3], rounds);
	} else if (argc > 4 && (!strcmp(what, "sleeping") || !strcmp(what, "calling"))) {
		thread_rounds(argv[3], rounds, argv + 4, !strcmp(what, "calling"));
	} else if (argc > 5 && !strcmp(what, "batch")) {
		batch_rounds(argv[3], rounds, thread_count(argv[4], 0), argv + 5);
	} else {
		fprintf(stderr, "usage: image load ROUNDS WITH WITHOUT | image update ROUNDS IMAGE |\n"
				"       image (sleeping|calling) ROUNDS IMAGE NUMBER... | image batch ROUNDS "
				"IMAGE OTHERS NUMBER...\n");
		return 2;
	}
	print_process();
	return 0;
}
