/* A target sees ordinary frames: itself, its caller and main, whether a site, a trampoline or a pointer
 * calls it. After a tail call, the calling function's frame is missing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <string.h>

#include "check.h"

static char seen[256];

/* Neither this nor its callees are inlined, so each has a frame. */
__attribute__((noinline)) void look(int value);
__attribute__((noinline)) void look(int value)
{
	void *frames[16];
	int count = backtrace(frames, 16);
	seen[0] = 0;
	for (int i = 0; i < count; i++) {
		Dl_info info;
		/* A return address may be the next function's first. */
		if (dladdr((char *)frames[i] - (i > 0), &info) && info.dli_sname) {
			strncat(seen, info.dli_sname, sizeof seen - strlen(seen) - 2);
			strcat(seen, " ");
			if (strcmp(info.dli_sname, "main") == 0)
				break;
		} else {
			strcat(seen, "? ");
		}
	}
	seen[255] = (char)value;
}

void other(int value);
void other(int value)
{
	look(value + 1);
	seen[255]++;
}

static DEFINE_STATIC_CALL(key, look);

__attribute__((noinline)) void caller(int value);
__attribute__((noinline)) void caller(int value)
{
	static_call(key, value);
	seen[255]++; /* no tail call */
}

static void expect(const char *frames)
{
	if (strcmp(seen, frames) != 0) {
		fprintf(stderr, "frames: %s\nexpected: %s\n", seen, frames);
		abort();
	}
}

int main(void)
{
	caller(1);
	expect("look caller main ");
	CHECK(static_call_update(key, other) == 0);
	caller(1);
	expect("look other caller main ");
	report();
	return 0;
}
