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
}

int main(void)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	struct itimerval often = { { 0, 200 }, { 0, 200 } };
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	time_t start = time(NULL);
	for (int i = 0; (busy < 5 || done < 5) && time(NULL) - start < 20; i++) {
		CHECK(static_call_update(main_key, i % 2 ? one : two) == 0);
		CHECK(static_call(main_key) == (i % 2 ? 1 : 2));
		for (volatile int pause = 0; pause < 200; pause++)
			;
	}
	often = (struct itimerval){ { 0, 0 }, { 0, 0 } };
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	CHECK(!wrong && busy >= 5 && done >= 5);
	report();
	return 0;
}
