/* Signal handlers update while the interrupted thread does. A handler runs when that update is over. But a
 * fault's handler cannot wait: it gets -EBUSY at once. */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "check.h"

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(main_key, one);
static DEFINE_STATIC_CALL(handler_key, one);

static volatile sig_atomic_t busy, done, wrong;

static timer_t timer;

/* The next signal comes a while after the last handler has returned, so that the program makes progress
 * even if handlers are slow. */
static int arm(void)
{
	const struct itimerspec soon = { { 0, 0 }, { 0, 200 * 1000 } };
	return timer_settime(timer, 0, &soon, NULL);
}

static void handler(int signal)
{
	(void)signal;
	int before = errno, value = static_call(handler_key);
	int result = static_call_update(handler_key, value == 1 ? two : one);
	if (errno != before || static_call(handler_key) != (result == 0 ? 3 - value : value))
		wrong = 1;
	if (result == 0)
		done++;
	else if (result == -EBUSY)
		busy++;
	else
		wrong = 1;
	if (arm() != 0)
		wrong = 1;
}

/* Until everything has happened often enough, or for this many seconds. */
static void be_interrupted(int signal, int busy_enough, int done_enough, int seconds)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal };
	CHECK(sigaction(signal, &action, NULL) == 0);
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	busy = done = 0;
	CHECK(arm() == 0);
	time_t start = time(NULL);
	for (int i = 0; (busy < busy_enough || done < done_enough) && time(NULL) - start < seconds; i++) {
		CHECK(static_call_update(main_key, i % 2 ? one : two) == 0);
		CHECK(static_call(main_key) == (i % 2 ? 1 : 2));
		for (volatile int pause = 0; pause < 200; pause++)
			;
	}
	action.sa_handler = SIG_IGN;
	CHECK(sigaction(signal, &action, NULL) == 0);
	CHECK(timer_delete(timer) == 0);
	CHECK(!wrong && busy >= busy_enough && done >= done_enough);
}

int main(void)
{
	be_interrupted(SIGSYS, 5, 5, 20);
	be_interrupted(SIGALRM, 0, 300, 20);
	CHECK(busy == 0);
	report();
	return 0;
}
