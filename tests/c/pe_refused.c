/* A policy that forbids dynamic code, as Windows' own does, in place of the system's function: Wine has none.
 *
 *     pe_refused early    nothing may be made writable from the start: calls load their key
 *     pe_refused later    after the first update: updates are refused, and change nothing */
#include <windows.h>

#include <stdbool.h>
#include <string.h>

#include "check.h"

enum { ERROR_DYNAMIC_CODE = 1655 };

static enum { UNKNOWN, ALLOWED, FORBIDDEN } policy;

/* The library calls this one, since the linker finds it first: at the latest when the program registers. */
BOOL WINAPI protect(void *start, SIZE_T len, DWORD protection, DWORD *old) __asm__("VirtualProtect");
BOOL WINAPI protect(void *start, SIZE_T len, DWORD protection, DWORD *old)
{
	typedef BOOL WINAPI function(void *, SIZE_T, DWORD, DWORD *);
	static function *real;
	if (!real)
		real = (function *)(void *)GetProcAddress(GetModuleHandleA("kernel32.dll"), "VirtualProtect");
	if (policy == UNKNOWN)
		policy = strstr(GetCommandLineA(), "early") ? FORBIDDEN : ALLOWED;
	if (policy == FORBIDDEN && protection & (PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY)) {
		SetLastError(ERROR_DYNAMIC_CODE);
		return FALSE;
	}
	return real(start, len, protection, old);
}
void *const imported_protect __asm__("__imp_VirtualProtect") = (void *)protect;

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static int three(int x) { return x + 3; }
static DEFINE_STATIC_CALL(first, one);
static DEFINE_STATIC_CALL(second, one);

__attribute__((noinline)) static int both(void)
{
	return static_call(first, 10) * 100 + static_call(second, 20);
}

int main(void)
{
	CHECK(both() == 1121);
	SetLastError(7);
	if (policy == FORBIDDEN) {
		CHECK(static_call_mode() == STATIC_CALL_MODE_GENERIC);
		CHECK(strstr(static_call_mode_reason(), "dynamic code"));
		CHECK(static_call_update(first, two) == 0 && both() == 1221);
		policy = ALLOWED;
		CHECK(static_call_update(second, three) == 0 && both() == 1223);
	} else {
		CHECK(static_call_mode() == STATIC_CALL_MODE_INLINE);
		CHECK(static_call_update(first, two) == 0 && both() == 1221);
		policy = FORBIDDEN;
		struct static_call_change changes[] = { STATIC_CALL_CHANGE(first, three),
							STATIC_CALL_CHANGE(second, three) };
		CHECK(static_call_update(first, three) == -EACCES && both() == 1221);
		CHECK(static_call_update_batch(changes, 2) == -EACCES && both() == 1221);
		CHECK(static_call_query(first) == two && static_call_query(second) == one);
		policy = ALLOWED;
		CHECK(static_call_update_batch(changes, 2) == 0 && both() == 1323);
	}
	/* An update leaves the caller's error alone. */
	CHECK(GetLastError() == 7);
	report();
	return 0;
}
