/* A program that ends in one of several ways, with plugins that have static calls:
 *
 *     exit_host WAY KEY_PLUGIN CALLER_PLUGIN
 *
 * With HAS_CALLS it has static calls itself. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAS_CALLS
#include "check.h"
static int three(void) { return 3; }
static int four(void) { return 4; }
static DEFINE_STATIC_CALL(hosts, three);
#else
#define CHECK(condition) \
	((condition) ? (void)0 :   \
		       (fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition), abort()))
#endif

static void *key, *caller;
static int (*key_update)(int value), (*key_call)(void), (*caller_call)(void);
static void (*key_watch)(int (*call)(void));
static const char *way;

static void *symbol(void *plugin, const char *name)
{
	void *found = dlsym(plugin, name);
	CHECK(found != NULL);
	return found;
}

static void load(char **paths)
{
	key = dlopen(paths[0], RTLD_NOW | RTLD_GLOBAL);
	caller = dlopen(paths[1], RTLD_NOW);
	if (!key || !caller)
		fprintf(stderr, "%s\n", dlerror());
	CHECK(key && caller);
	*(void **)&key_update = symbol(key, "key_update");
	*(void **)&key_call = symbol(key, "key_call");
	*(void **)&key_watch = symbol(key, "key_watch");
	*(void **)&caller_call = symbol(caller, "caller_call");
}

static void updates_follow(void)
{
	for (int value = 1; value <= 4; value++) {
		CHECK(key_update(1 + value % 2) == 0 && key_call() == 1 + value % 2);
		CHECK(!caller || caller_call() == 1 + value % 2);
	}
}

static void unload_caller(void)
{
	CHECK(dlclose(caller) == 0);
	caller = NULL;
	updates_follow();
}

static void unload_both(void)
{
	unload_caller();
	CHECK(dlclose(key) == 0);
	key = NULL;
}

__attribute__((destructor)) static void in_destructor(void)
{
	if (strcmp(way, "destructor") == 0)
		unload_caller();
}

#ifdef HAS_CALLS
/* After the image's own destructor and before the plugins'. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wprio-ctor-dtor"
#endif
__attribute__((destructor(50))) static void at_last(void)
{
	for (int value = 0; value < 4; value++)
		CHECK(static_call_update(hosts, value % 2 ? three : four) == 0 &&
		      static_call(hosts) == 4 - value % 2);
	/* A plugin that is loaded this late can also be unloaded. */
	const char *path = getenv("LATE_PLUGIN");
	void *late = key && path ? dlopen(path, RTLD_NOW) : NULL;
	if (!late)
		return;
	*(void **)&caller_call = symbol(late, "caller_call");
	caller = late;
	updates_follow();
	unload_caller();
}
#endif

static void in_thread_destructor(void *unused)
{
	(void)unused;
	unload_caller();
}

static void *end_last(void *unused)
{
	pthread_key_t local;
	(void)unused;
	CHECK(pthread_key_create(&local, in_thread_destructor) == 0 &&
	      pthread_setspecific(local, &local) == 0);
	usleep(2000);
	return NULL;
}

/* The key's plugin stays loaded; only the caller is unloaded meanwhile. */
static void *update_for_ever(void *unused)
{
	(void)unused;
	for (int value = 0;; value++)
		CHECK(key_update(1 + value % 2) == 0);
	return NULL;
}

static void unload_beside_updates(void)
{
	CHECK(dlclose(caller) == 0);
	usleep(2000);
}

#ifdef HAS_CALLS
static void after_the_library_handler(void)
{
	if (strcmp(way, "beside updates, last") == 0)
		unload_beside_updates();
}

/* Before the image's own constructor, which may register the library's exit handler. */
__attribute__((constructor(50))) static void register_first(void)
{
	CHECK(atexit(after_the_library_handler) == 0);
}
#endif

int main(int argc, char **argv)
{
	CHECK(argc == 4);
	way = argv[1];
	pthread_t thread;
	if (strcmp(way, "handler before") == 0)
		CHECK(atexit(unload_both) == 0);
	load(&argv[2]);
	updates_follow();
	if (strcmp(way, "handler after") == 0)
		CHECK(atexit(unload_both) == 0);
	if (strcmp(way, "handler, caller only") == 0)
		CHECK(atexit(unload_caller) == 0);
	if (strcmp(way, "both stay") == 0)
		key_watch(caller_call);
	if (strcmp(way, "quick_exit") == 0) {
		CHECK(at_quick_exit(unload_both) == 0);
		quick_exit(0);
	}
	if (strcmp(way, "_exit") == 0)
		_exit(0);
	if (strncmp(way, "beside updates", strlen("beside updates")) == 0) {
		void (*share)(void);
		*(void **)&share = symbol(key, "key_share");
		share();
		if (strcmp(way, "beside updates") == 0)
			CHECK(atexit(unload_beside_updates) == 0);
		CHECK(pthread_create(&thread, NULL, update_for_ever, NULL) == 0);
		usleep(1000);
	}
	if (strcmp(way, "last thread") == 0) {
		CHECK(pthread_create(&thread, NULL, end_last, NULL) == 0);
		pthread_exit(NULL);
	}
	return 0;
}
