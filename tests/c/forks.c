/* Children forked while other threads update: they can update at once, find no update half done, and have
 * no writable page of code. After fork() this holds from the start; after _Fork() and clone() from the
 * child's first update. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>

#include "fork.h"
#include "maps.h"

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(busy, one);
static DEFINE_STATIC_CALL(also_busy, one);
static DEFINE_STATIC_CALL(child_key, one);
/* A batch of more keys than the runtime's initial capacity. */
enum { MANY = 24 };
static struct static_call_key many[MANY] = { [0 ... MANY - 1] = STATIC_CALL_INIT(one) };
static atomic_bool stop;

#define NOINLINE __attribute__((noinline))
/* Several sites of each key, so that an update is half done for a while. */
#define SITES(name)                                                                                 \
	NOINLINE static int name##_sum(void)                                                        \
	{                                                                                           \
		int sum = 0;                                                                        \
		sum += static_call(name), sum += static_call(name), sum += static_call(name);       \
		sum += static_call(name), sum += static_call(name), sum += static_call(name);       \
		return sum;                                                                         \
	}
SITES(busy)
SITES(also_busy)

static void *update(void *is_large)
{
	for (int i = 0; !atomic_load(&stop); i++) {
		struct static_call_change changes[2 + MANY] = { STATIC_CALL_CHANGE(busy, i % 2 ? one : two),
								STATIC_CALL_CHANGE(also_busy,
										   i % 2 ? one : two) };
		for (int k = 0; k < MANY; k++)
			changes[2 + k] = (struct static_call_change)STATIC_CALL_CHANGE_AT(one, &many[k],
											  i % 2 ? one : two);
		CHECK(PATIENTLY(static_call_update_batch(changes, is_large ? 2 + MANY : 2)) == 0);
	}
	return NULL;
}

static int is_whole(void)
{
	const int sum = busy_sum();
	int is_so = (sum == 6 || sum == 12) && also_busy_sum() == sum;
	for (int k = 1; k < MANY; k++)
		is_so &= static_call_query_at(one, &many[k]) == static_call_query_at(one, &many[0]);
	return is_so;
}

static pid_t make_child(int how)
{
	if (how == 0)
		return fork();
	if (how == 1 && _Fork)
		return _Fork();
	return raw_clone();
}

int main(void)
{
	char program[] = "/bin/true", *arguments[] = { program, NULL };
	const size_t writable = writable_code();
	/* With aliases, only fork's hooks keep a child from following its parent. */
	const int ways = has_wiped_pages() && static_call_writer() != STATIC_CALL_WRITER_ALIAS ? 3 : 1;
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, update, i ? &stop : NULL) == 0);
	for (int i = 0; i < 150; i++) {
		const int how = i % ways;
		pid_t pid = i % 25 == 24 ? vfork() : make_child(how);
		CHECK(pid >= 0);
		if (pid == 0 && i % 25 == 24) {
			execve(program, arguments, (char *[]){ NULL });
			_exit(127);
		}
		if (pid == 0) {
			alarm(10); /* a child must not wait for a thread that it does not have */
			if (how == 0 && !is_whole())
				_exit(1);
			if (how == 0 && writable_code() != writable)
				_exit(2);
			if (static_call_update(child_key, two) != 0 || static_call(child_key) != 2)
				_exit(3);
			if (!is_whole())
				_exit(4);
			if (writable_code() != writable)
				_exit(5);
			struct static_call_change changes[] = { STATIC_CALL_CHANGE(busy, one),
								STATIC_CALL_CHANGE(also_busy, one) };
			if (static_call_update_batch(changes, 2) != 0 || busy_sum() != 6 ||
			    also_busy_sum() != 6)
				_exit(6);
			struct static_call_change others[] = { STATIC_CALL_CHANGE(busy, two),
							       STATIC_CALL_CHANGE(also_busy, two) };
			if (static_call_update_batch(others, 2) != 0 || busy_sum() != 12 ||
			    also_busy_sum() != 12)
				_exit(7);
			_exit(0);
		}
		const int status = status_of(pid);
		if (status != 0)
			fprintf(stderr, "child %d, made in way %d: wait status %#x\n", i, how, status);
		CHECK(status == 0);
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(static_call(child_key) == 1 && is_whole());
	report();
	return 0;
}
