/* A program that ends while threads update: Windows ends them wherever they are, maybe one of them with the
 * lock, and then runs the destructors of DLLs. */
#include <windows.h>

#include "check.h"
#include "pe.h"

static DWORD WINAPI update(void *started)
{
	for (int i = 0;; i++) {
		CHECK(static_call_update(shared, targets[i % TARGETS]) == 0);
		SetEvent(started);
	}
}

static void at_exit(void)
{
	/* The program's own destructors may have run, but it still calls. */
	CHECK(static_call(shared, 0) < TARGETS);
	puts("ended");
	fflush(stdout);
}

int main(void)
{
	const HANDLE started = CreateEventA(NULL, FALSE, FALSE, NULL);
	atexit(at_exit);
	for (int i = 0; i < 8; i++)
		CHECK(CreateThread(NULL, 0, update, started, 0, NULL));
	WaitForSingleObject(started, INFINITE);
	return 0;
}
