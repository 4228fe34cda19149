/* A signal handler updates while the thread that it interrupted does: it gets -EBUSY and waits for nobody. */
#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "check.h"

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(main_key, one);
static DEFINE_STATIC_CALL(handler_key, one);

static volatile sig_atomic_t busy, done, wrong;

/* The next signal comes a while after the last one was handled: even where that takes long, the program goes on. */
static int arm(void)
{
	struct itimerval soon = { { 0, 0 }, { 0, 200 } };
	return setitimer(ITIMER_REAL, &soon, NULL);
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

int main(void)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	CHECK(arm() == 0);
	time_t start = time(NULL);
	for (int i = 0; (busy < 5 || done < 5) && time(NULL) - start < 20; i++) {
		CHECK(static_call_update(main_key, i % 2 ? one : two) == 0);
		CHECK(static_call(main_key) == (i % 2 ? 1 : 2));
		for (volatile int pause = 0; pause < 200; pause++)
			;
	}
	action.sa_handler = SIG_IGN;
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	CHECK(!wrong && busy >= 5 && done >= 5);
	report();
	return 0;
}
