/* Threads call keys while another one updates them, and a third loads and unloads a DLL that calls them.
 *
 *     pe_torture SECONDS PLUGIN [early]
 *
 * A call that starts after an update has returned must reach the new target. `early` says that updates are
 * over before they begin, which is wrong on purpose: then the checks must find stale calls. */
#include <windows.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "pe.h"

enum { READERS = 4 };

/* In reach of direct calls, as those of another image may not be. */
#define LOCAL(number) __attribute__((noinline)) static int local##number(int base) { return base + number; }
FOR_EACH_TARGET(LOCAL)
#define POINTER(number) local##number,
static const target locals[TARGETS] = { FOR_EACH_TARGET(POINTER) };
static DEFINE_STATIC_CALL(local, local0);

/* The update that has begun last, and the one that has ended last. Update n makes both keys call target n. */
static atomic_long begun, ended;
static atomic_bool stop;
static atomic_llong calls, stale, wrong, loads;
static const char *plugin;

/* Whether a call that started when `from` had ended and returned before `to` + 1 began may have reached the
 * target with this number. */
static bool is_possible(long from, long to, int number)
{
	return to - from >= TARGETS || (number + TARGETS - from % TARGETS) % TARGETS <= to - from;
}

static void check_call(long from, int number)
{
	const long to = atomic_load(&begun);
	if (number < 0 || number >= TARGETS)
		atomic_fetch_add(&wrong, 1);
	else if (!is_possible(from, to, number))
		atomic_fetch_add(&stale, 1);
}

static DWORD WINAPI read_keys(void *unused)
{
	long long made = 0;
	(void)unused;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		for (int i = 0; i < 1000; i++) {
			long from = atomic_load(&ended);
			check_call(from, static_call(shared, 100) - 100);
			from = atomic_load(&ended);
			check_call(from, static_call(local, 200) - 200);
		}
		made += 2000;
	}
	atomic_fetch_add(&calls, made);
	return 0;
}

static DWORD WINAPI load_plugin(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop)) {
		const HMODULE module = LoadLibraryA(plugin);
		CHECK(module);
		call_shared *call = (call_shared *)(void *)GetProcAddress(module, "call");
		CHECK(call);
		for (int i = 0; i < 100; i++) {
			const long from = atomic_load(&ended);
			check_call(from, call(50) / 2 - 50);
		}
		CHECK(FreeLibrary(module));
		atomic_fetch_add(&loads, 1);
	}
	return 0;
}

int main(int count, char **arguments)
{
	CHECK(count >= 3);
	const ULONGLONG end = GetTickCount64() + strtoul(arguments[1], NULL, 10) * 1000;
	const bool early = count > 3 && strcmp(arguments[3], "early") == 0;
	HANDLE threads[READERS + 1];
	plugin = arguments[2];
	for (int i = 0; i < READERS; i++)
		threads[i] = CreateThread(NULL, 0, read_keys, NULL, 0, NULL);
	threads[READERS] = CreateThread(NULL, 0, load_plugin, NULL, 0, NULL);
	long updates = 0;
	while (GetTickCount64() < end) {
		const long next = ++updates % TARGETS;
		struct static_call_change both[] = { STATIC_CALL_CHANGE(shared, targets[next]),
						     STATIC_CALL_CHANGE(local, locals[next]) };
		atomic_store(&begun, updates);
		if (early)
			atomic_store(&ended, updates);
		CHECK(static_call_update_batch(both, 2) == 0);
		atomic_store(&ended, updates);
	}
	atomic_store(&stop, true);
	for (int i = 0; i <= READERS; i++) {
		WaitForSingleObject(threads[i], INFINITE);
		CloseHandle(threads[i]);
	}
	printf("calls %lld, updates %ld, loads %lld, stale %lld, wrong %lld\n", calls, updates, loads, stale,
	       wrong);
	report();
	return 0;
}
