/* Threads block SIGTRAP in every possible way. With breakpoints, updates fail while a thread does, and
 * nothing crashes. An update waits while the C library blocks the signal for a moment. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fork.h"

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(key, one);
static atomic_int is_blocked, leave, stop;
static int is_refused;

__attribute__((noinline)) static int call(void) { return static_call(key) * 1; }

static int update(void) { return static_call_update(key, call() == 1 ? two : one); }

/* At the latest when the runtime checks the threads again. */
static void update_soon(void)
{
	int result = -1;
	for (int i = 0; i < 200 && result; i++) {
		result = update();
		usleep(1000);
	}
	CHECK(result == 0);
}

static void call_until_left(void)
{
	is_blocked = 1;
	while (!leave) {
		int result = call();
		CHECK(result == 1 || result == 2);
	}
}

static void by_pthread_sigmask(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTRAP);
	CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	call_until_left();
	CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static void all_that_can_be(void)
{
	sigset_t set;
	sigfillset(&set);
	CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	call_until_left();
	CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
}

/* All signals, including those that the C library reserves. */
static void all_by_system_call(void)
{
	unsigned long long set = ~0ULL;
	CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 8) == 0);
	call_until_left();
	CHECK(syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, 8) == 0);
}

/* All signals except the one that ends the wait. */
static sigset_t all_but_one(void)
{
	sigset_t set;
	sigfillset(&set);
	sigdelset(&set, SIGUSR1);
	return set;
}

static void in_sigsuspend(void)
{
	sigset_t set = all_but_one();
	is_blocked = 1;
	sigsuspend(&set);
}
static void in_ppoll(void)
{
	sigset_t set = all_but_one();
	is_blocked = 1;
	ppoll(NULL, 0, NULL, &set);
}
static void in_epoll_pwait(void)
{
	sigset_t set = all_but_one();
	struct epoll_event event;
	int file = epoll_create1(EPOLL_CLOEXEC);
	is_blocked = 1;
	epoll_pwait(file, &event, 1, -1, &set);
	close(file);
}

static void wake(int signal) { (void)signal; }
static void deaf(int unused)
{
	(void)unused;
	signal(SIGUSR2, SIG_DFL); /* Its action is no evidence any more. */
	call_until_left();
}
static void in_a_handler(void)
{
	struct sigaction action = { .sa_handler = deaf };
	sigfillset(&action.sa_mask);
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	raise(SIGUSR2);
}

static void reads_signals(void)
{
	sigset_t set = all_but_one();
	CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	int file = signalfd(-1, &set, SFD_CLOEXEC);
	struct pollfd poll_file = { .fd = file, .events = POLLIN };
	is_blocked = 1;
	while (!leave)
		poll(&poll_file, 1, 10);
	close(file);
	CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static void *inherits(void *unused)
{
	call_until_left();
	return unused;
}
static void created_by_one_that_does(void)
{
	sigset_t set, before;
	pthread_t thread;
	sigfillset(&set);
	CHECK(pthread_sigmask(SIG_BLOCK, &set, &before) == 0);
	CHECK(pthread_create(&thread, NULL, inherits, NULL) == 0);
	CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

static void (*const ways[])(void) = {
	by_pthread_sigmask, all_that_can_be, all_by_system_call,
	in_sigsuspend,      in_ppoll,        in_epoll_pwait,
	in_a_handler,       reads_signals,   created_by_one_that_does,
};

static void *blocks(void *way)
{
	(*(void (*const *)(void))way)();
	while (!stop)
		usleep(1000);
	return NULL;
}

static void *nothing(void *unused) { return unused; }

static void *creates_threads(void *unused)
{
	pthread_t threads[4];
	while (!stop) {
		for (int i = 0; i < 4; i++)
			CHECK(pthread_create(&threads[i], NULL, nothing, NULL) == 0);
		for (int i = 0; i < 4; i++)
			CHECK(pthread_join(threads[i], NULL) == 0);
	}
	return unused;
}

static void *spawns_programs(void *unused)
{
	extern char **environ;
	char *const arguments[] = { (char *)"true", NULL };
	while (!stop) {
		pid_t child;
		CHECK(posix_spawnp(&child, "true", NULL, NULL, arguments, environ) == 0);
		CHECK(waitpid(child, NULL, 0) == child);
	}
	return unused;
}

static void *forks_with_its_memory(void *unused)
{
	while (!stop) {
		pid_t child = vfork();
		if (child == 0) {
			usleep(5000);
			_exit(0);
		}
		CHECK(waitpid(child, NULL, 0) == child);
	}
	return unused;
}

static void *updates_alone(void *unused)
{
	sigset_t set;
	sigfillset(&set);
	CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
	usleep(10000);
	for (int i = 0; i < 20; i++)
		CHECK(update() == 0);
	exit(0);
	return unused;
}

/* A process's first thread and its mask stay visible until the last thread has ended. */
static void first_thread_ends(void)
{
	pid_t child = fork();
	if (child == 0) {
		unsigned long long set = ~0ULL;
		pthread_t thread;
		syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 8);
		CHECK(pthread_create(&thread, NULL, updates_alone, NULL) == 0);
		syscall(SYS_exit, 0);
	}
	CHECK(status_of(child) == 0);
}

int main(void)
{
	is_refused = static_call_writer() == STATIC_CALL_WRITER_BREAKPOINT;
	signal(SIGUSR1, wake);
	for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
		pthread_t thread;
		is_blocked = leave = stop = 0;
		CHECK(pthread_create(&thread, NULL, blocks, (void *)&ways[i]) == 0);
		while (!is_blocked)
			usleep(100);
		usleep(20000);
		for (int j = 0; j < 30; j++) {
			int before = call(), result = update();
			if (result != (is_refused ? -EAGAIN : 0)) {
				fprintf(stderr, "way %u, update %d: %d\n", i, j, result);
				abort();
			}
			CHECK(call() == (is_refused ? before : 3 - before));
			if (j % 10 == 9)
				usleep(10000);
		}
		leave = 1;
		pthread_kill(thread, SIGUSR1);
		update_soon();
		CHECK(update() == 0);
		stop = 1;
		CHECK(pthread_join(thread, NULL) == 0);
	}

	void *(*const moments[])(void *) = { creates_threads, creates_threads, spawns_programs,
					     forks_with_its_memory };
	pthread_t threads[4];
	stop = 0;
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, moments[i], NULL) == 0);
	/* On a busy machine, a moment may be long. */
	int failed = 0;
	for (int i = 0; i < 200; i++)
		if (update() != 0) {
			failed++;
			update_soon();
		}
	printf("%d of 200 updates failed\n", failed);
	CHECK(failed <= 10);
	stop = 1;
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	first_thread_ends();
	report();
	return 0;
}
