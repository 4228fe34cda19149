/* fork, the program's own locks, and signal handlers that update, in every order: nothing deadlocks. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "fork.h"

enum { STUCK_AFTER = 20 };

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(key, one);
static DEFINE_STATIC_CALL(handlers, one);
static DEFINE_STATIC_CALL(guarded, one);
static atomic_bool stop;

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void wait_for(pid_t pid, int expected)
{
	int status;
	pid_t found;
	CHECK(pid > 0);
	while ((found = waitpid(pid, &status, 0)) == -1 && errno == EINTR)
		;
	CHECK(found == pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
		fprintf(stderr, "a child: wait status %#x\n", status);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == expected);
}

static void *start(void *(*run)(void *), pthread_t *thread)
{
	CHECK(pthread_create(thread, NULL, run, NULL) == 0);
	return NULL;
}

/* A child updates at once. */
static pid_t forked_child(void)
{
	const pid_t pid = fork();
	if (pid == 0) {
		alarm(STUCK_AFTER);
		_exit(static_call_update(key, two) == 0 && static_call(key) == 2 ? 7 : 1);
	}
	return pid;
}

/* ---- A mutex that is held during updates, and that the program's own hooks of fork take --------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_t hooked;
static int in_hook;

/* Before this takes the mutex, its owner may be in the middle of an update. */
static void before_fork(void)
{
	if (!hooked || !pthread_equal(hooked, pthread_self()))
		return;
	CHECK(pthread_mutex_lock(&mutex) == 0);
	/* Another fork during this one. */
	if (!in_hook) {
		in_hook = 1;
		CHECK(pthread_mutex_unlock(&mutex) == 0);
		CHECK(PATIENTLY(static_call_update(guarded, one)) == 0);
		wait_for(forked_child(), 7);
		CHECK(pthread_mutex_lock(&mutex) == 0);
		in_hook = 0;
	}
}

static void after_fork(void)
{
	if (hooked && pthread_equal(hooked, pthread_self()))
		CHECK(pthread_mutex_unlock(&mutex) == 0);
}

/* Registered before the library's hooks, so called after them. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wprio-ctor-dtor"
#endif
__attribute__((constructor(100))) static void hook(void)
{
	CHECK(pthread_atfork(before_fork, after_fork, after_fork) == 0);
}

static void *update_under_mutex(void *unused)
{
	(void)unused;
	for (int i = 0; !atomic_load(&stop); i++) {
		CHECK(pthread_mutex_lock(&mutex) == 0);
		CHECK(PATIENTLY(static_call_update(guarded, i % 2 ? one : two)) == 0);
		CHECK(pthread_mutex_unlock(&mutex) == 0);
	}
	return NULL;
}

static void updates_under_a_mutex(void)
{
	pthread_t thread;
	start(update_under_mutex, &thread);
	hooked = pthread_self();
	for (int i = 0; i < 20; i++)
		wait_for(forked_child(), 7);
	hooked = 0;
	atomic_store(&stop, 1);
	CHECK(pthread_join(thread, NULL) == 0);
	atomic_store(&stop, 0);
}

/* ---- A handler that interrupts malloc and free, whose locks fork waits for --------------------------- */

static atomic_int handled;

static void update_in_handler(int signal)
{
	(void)signal;
	const int before = errno, n = atomic_fetch_add(&handled, 1);
	const int result = static_call_update(handlers, n % 2 ? one : two);
	/* EAGAIN: see PATIENTLY. */
	CHECK(result == 0 || result == -EBUSY || result == -EAGAIN);
	errno = before;
}

static void *allocate(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop)) {
		void *blocks[64];
		for (int i = 0; i < 64; i++)
			blocks[i] = malloc(2000 + i * 64);
		for (int i = 0; i < 64; i++)
			free(blocks[i]);
	}
	return NULL;
}

static pthread_t allocators[2];

static void *signal_allocators(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop)) {
		for (int i = 0; i < 2; i++)
			CHECK(pthread_kill(allocators[i], SIGUSR1) == 0);
		usleep(50);
	}
	return NULL;
}

static void handlers_inside_malloc(double seconds)
{
	pthread_t signaller;
	for (int i = 0; i < 2; i++)
		start(allocate, &allocators[i]);
	start(signal_allocators, &signaller);
	for (const double end = now() + seconds; now() < end;)
		wait_for(forked_child(), 7);
	atomic_store(&stop, 1);
	CHECK(pthread_join(signaller, NULL) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(allocators[i], NULL) == 0);
	atomic_store(&stop, 0);
	CHECK(atomic_load(&handled) > 0);
}

/* ---- A handler that runs in a child before fork has returned there ----------------------------------- */

static void handlers_in_children(double seconds)
{
	CHECK(setpgid(0, 0) == 0);
	const pid_t group = getpid(), sender = fork();
	if (sender == 0) {
		signal(SIGHUP, SIG_IGN);
		while (getppid() == group) {
			kill(-group, SIGHUP);
			usleep(300);
		}
		_exit(0);
	}
	CHECK(sender > 0);
	for (const double end = now() + seconds; now() < end;) {
		const pid_t pid = fork();
		if (pid == 0) {
			alarm(STUCK_AFTER);
			/* Handlers may interrupt these updates too, but update another key. */
			for (int i = 0; i < 3; i++)
				if (static_call_update(key, two) != 0)
					_exit(1);
			_exit(static_call(key) == 2 && static_call(handlers) != 0 ? 7 : 2);
		}
		wait_for(pid, 7);
	}
	CHECK(kill(sender, SIGKILL) == 0);
	while (waitpid(sender, NULL, 0) == -1 && errno == EINTR)
		;
}

/* ---- A handler that waits for other threads, as where a garbage collector stops them all -------------- */

static sem_t stopped, go_on;

static void stop_here(int signal)
{
	(void)signal;
	const int before = errno;
	CHECK(sem_post(&stopped) == 0);
	while (sem_wait(&go_on) != 0)
		CHECK(errno == EINTR);
	errno = before;
}

static void *update_all_the_time(void *unused)
{
	(void)unused;
	for (int i = 0; !atomic_load(&stop); i++)
		CHECK(PATIENTLY(static_call_update(key, i % 2 ? two : one)) == 0);
	return NULL;
}

static void updates_in_a_stopped_world(double seconds)
{
	struct sigaction action = { .sa_handler = stop_here, .sa_flags = SA_RESTART };
	pthread_t thread;
	CHECK(sem_init(&stopped, 0, 0) == 0 && sem_init(&go_on, 0, 0) == 0);
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	start(update_all_the_time, &thread);
	const double end = now() + seconds;
	for (int i = 0; i < 20 || now() < end; i++) {
		CHECK(pthread_kill(thread, SIGUSR2) == 0);
		while (sem_wait(&stopped) != 0)
			CHECK(errno == EINTR);
		CHECK(PATIENTLY(static_call_update(handlers, i % 2 ? two : one)) == 0);
		CHECK(sem_post(&go_on) == 0);
		usleep(rand() % 100);
	}
	atomic_store(&stop, 1);
	CHECK(pthread_join(thread, NULL) == 0);
	atomic_store(&stop, 0);
}

/* ---- A handler that forks in the middle of an update: the child continues it -------------------------- */

static volatile pid_t forked;
static volatile sig_atomic_t first_in_child;
static int is_handler_done;

static void fork_in_handler(int signal)
{
	(void)signal;
	const int before = errno;
	const pid_t pid = _Fork ? _Fork() : raw_clone();
	if (pid == 0) {
		alarm(STUCK_AFTER);
		first_in_child = static_call_update(handlers, two);
		if (first_in_child != 0 && first_in_child != -EBUSY)
			_exit(1);
		if (static_call(handlers) != 1 + (first_in_child == 0))
			_exit(2);
		/* The interrupted thread continues in the child. */
	}
	forked = pid;
	__atomic_store_n(&is_handler_done, 1, __ATOMIC_RELEASE);
	errno = before;
}

/* With a fault's signal, which interrupts updates, or with another, which does not. */
static void forks_in_handlers(int signal, double seconds)
{
	const int interrupts = signal == SIGSYS;
	struct sigaction action = { .sa_handler = fork_in_handler, .sa_flags = SA_RESTART };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal };
	timer_t timer;
	CHECK(sigaction(signal, &action, NULL) == 0);
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	int busy = 0;
	/* Until a signal has arrived during an update. */
	for (const double end = now() + seconds;
	     now() < end || (interrupts && busy == 0 && now() < end + STUCK_AFTER);) {
		CHECK(static_call_update(handlers, one) == 0);
		is_handler_done = 0;
		const struct itimerspec soon = { { 0, 0 }, { 0, 1000 * (1 + rand() % 60) } };
		CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
		int i;
		for (i = 0; !__atomic_load_n(&is_handler_done, __ATOMIC_ACQUIRE); i++)
			CHECK(PATIENTLY(static_call_update(key, i % 2 ? two : one)) == 0);
		if (forked == 0) {
			if ((i && static_call(key) != 1 + !(i % 2)) || static_call_update(key, one) != 0 ||
			    static_call(key) != 1)
				_exit(3);
			if (static_call_update(handlers, two) != 0 || static_call(handlers) != 2)
				_exit(4);
			_exit(first_in_child == 0 ? 7 : 8);
		}
		const int status = status_of(forked);
		CHECK(WIFEXITED(status));
		if (WEXITSTATUS(status) != 7 && WEXITSTATUS(status) != 8)
			fprintf(stderr, "a child of a handler: status %d\n", WEXITSTATUS(status));
		CHECK(WEXITSTATUS(status) == 7 || WEXITSTATUS(status) == 8);
		busy += WEXITSTATUS(status) == 8;
	}
	CHECK((busy > 0) == interrupts);
}

int main(void)
{
	struct sigaction action = { .sa_handler = update_in_handler, .sa_flags = SA_RESTART };
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGHUP, &action, NULL) == 0);
	alarm(3 * STUCK_AFTER); /* ends a deadlock */
	updates_under_a_mutex();
	handlers_inside_malloc(0.2);
	updates_in_a_stopped_world(0.2);
	if (has_wiped_pages())
		handlers_in_children(0.2);
	alarm(0);
	/* With an alias or breakpoints, a child made while its own thread writes code would write its
	 * parent's, or have no alias. */
	const int is_in_place = static_call_writer() != STATIC_CALL_WRITER_ALIAS &&
				static_call_writer() != STATIC_CALL_WRITER_BREAKPOINT;
	forks_in_handlers(is_in_place ? SIGSYS : SIGUSR1, 0.2);
	CHECK(static_call_update(key, one) == 0 && static_call(key) == 1);
	report();
	return 0;
}
