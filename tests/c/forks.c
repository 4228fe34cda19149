/* A child that is forked while another thread updates can update as well: the lock is free in it, and no
 * update is half made. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(busy, one);
static DEFINE_STATIC_CALL(also_busy, one);
static DEFINE_STATIC_CALL(childs, one);
static atomic_bool stop;

static void *update(void *unused)
{
	(void)unused;
	for (int i = 0; !atomic_load(&stop); i++) {
		struct static_call_change changes[] = {
			STATIC_CALL_CHANGE(busy, i % 2 ? one : two), STATIC_CALL_CHANGE(also_busy, i % 2 ? one : two)
		};
		CHECK(static_call_update_batch(changes, 2) == 0);
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, update, NULL) == 0);
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			alarm(5); /* instead of waiting for a thread that the child does not have */
			int whole = static_call(busy) == static_call(also_busy);
			_exit(static_call_update(childs, two) == 0 && static_call(childs) == 2 && whole ? 7 : 1);
		}
		int status;
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	}
	atomic_store(&stop, 1);
	CHECK(pthread_join(thread, NULL) == 0 && static_call(childs) == 1);
	report();
	return 0;
}
