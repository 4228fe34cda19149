/* A plugin of exit_host.c that defines a key and updates it to the very end. */
#include <string.h>
#include <unistd.h>

#include "check.h"

#define EXPORT __attribute__((visibility("default")))

static int one(void) { return 1; }
static int two(void) { return 2; }
EXPORT DEFINE_STATIC_CALL(exit_hook, one);

typedef int call_of_another(void);
EXPORT int key_update(int value);
EXPORT int key_call(void);
EXPORT void key_watch(call_of_another *call);
EXPORT void key_share(void);
static call_of_another *watched;
static int is_shared;

int key_update(int value) { return static_call_update(exit_hook, value == 1 ? one : two); }
int key_call(void) { return static_call(exit_hook); }
/* At the end, check a call of the key in another image as well. */
void key_watch(call_of_another *call) { watched = call; }

/* Another thread updates the key until the process is gone. */
void key_share(void) { is_shared = 1; }

/* After the image's own destructor, which has priority 101. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wprio-ctor-dtor"
#endif
__attribute__((destructor(50))) static void at_last(void)
{
	for (int value = 1; value <= 4; value++) {
		CHECK(key_update(1 + value % 2) == 0);
		CHECK(is_shared || key_call() == 1 + value % 2);
		CHECK(!watched || watched() == 1 + value % 2);
	}
	const char *text = watched ? "at last, both\n" : "at last\n";
	CHECK(write(STDOUT_FILENO, text, strlen(text)) > 0);
}
