/* Code that is written through an alias: what is mapped, what a debugger's writes, forks and a lack of files
 * do, and what is left after dlclose and after the seal. */
#include "restrict.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/resource.h>

#include "fork.h"
#include "maps.h"
#include "plugin_host.h"

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static DEFINE_STATIC_CALL(key, one);
static DEFINE_STATIC_CALL(made_pointer, one);
int host_default(int a) { return a + 1; }
__attribute__((visibility("default"))) DEFINE_STATIC_CALL(host_key, host_default);

__attribute__((noinline)) static int call(int x) { return static_call(key, x) * 2; }
__attribute__((noinline)) static int call_pointer(int x) { return static_call(made_pointer, x) * 2; }
/* On the same page, or nearly so; nothing calls it. */
__attribute__((noinline, used)) static int beside(int x) { return x * 3 + 1; }

/* How many mappings there are of the runtime's files with these rights. */
static int mappings(const char *access)
{
	struct mapping mapping;
	int count = 0;
	for (const char *line = read_maps(), *next; *line; line = next) {
		next = read_mapping(line, &mapping);
		const char *name = strstr(line, "/memfd:static-call");
		count += !strncmp(mapping.access, access, 4) && name && name < next;
	}
	return count;
}

/* Writes a byte of code as it is, as a debugger does: the process gets its own copy of the page. */
static void copy_page(const void *code)
{
	const int memory = open("/proc/self/mem", O_RDWR);
	CHECK(memory >= 0 && pwrite(memory, code, 1, (off_t)(uintptr_t)code) == 1 && close(memory) == 0);
}

static void update_to(int (*function)(int))
{
	CHECK(static_call_update(key, function) == 0);
	CHECK(call(1) == function(1) * 2);
}

static void what_is_mapped(void)
{
	CHECK(static_call_writer() == STATIC_CALL_WRITER_ALIAS);
	CHECK(mappings("r-xp") == 1 && mappings("rw-s") == 1 && writable_code() == 0);
	for (int i = 0; i < 10; i++)
		update_to(i % 2 ? one : two);
	CHECK(mappings("r-xp") == 1 && mappings("rw-s") == 1 && writable_code() == 0);
}

static void pages_that_somebody_copies(void)
{
	for (int i = 0; i < 100; i++) {
		copy_page(i % 3 ? (const void *)call : (const void *)beside);
		update_to(i % 2 ? one : two);
		if (i % 5 == 0)
			update_to(i % 2 ? two : one);
	}
	CHECK(mappings("rw-s") == 1 && writable_code() == 0);
}

/* ---- A debugger that does not stop the threads -------------------------------------------------------- */

static int is_copied_enough;
static void *copy_all_the_time(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&is_copied_enough, __ATOMIC_RELAXED)) {
		copy_page((const void *)call);
		usleep(50);
	}
	return NULL;
}

static void pages_that_are_copied_during_updates(void)
{
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, copy_all_the_time, NULL) == 0);
	for (int i = 0; i < 60000; i++) {
		int (*const function)(int) = i % 2 ? one : two;
		/* Two copies may come in a row. */
		int result;
		while ((result = static_call_update(key, function)) == -EILSEQ)
			;
		CHECK(result == 0);
		for (int k = 0; k < 100; k++)
			CHECK(call(1) == function(1) * 2);
	}
	__atomic_store_n(&is_copied_enough, 1, __ATOMIC_RELAXED);
	CHECK(pthread_join(thread, NULL) == 0);
}

/* ---- A child does not follow its parent, nor the parent its child -------------------------------------- */

static int from_child[2], from_parent[2];

static void say(int to) { CHECK(write(to, "x", 1) == 1); }
static void hear(int from)
{
	char byte;
	CHECK(read(from, &byte, 1) == 1);
}

static void children(void)
{
	for (int i = 0; i < 20; i++) {
		CHECK(pipe(from_child) == 0 && pipe(from_parent) == 0);
		update_to(one);
		const pid_t child = fork();
		if (child == 0) {
			alarm(20);
			hear(from_parent[0]);
			CHECK(mappings("rw-s") == 0);
			/* The parent has updated. */
			CHECK(call(1) == 4);
			if (i % 2)
				update_to(one);
			say(from_child[1]);
			hear(from_parent[0]);
			CHECK(call(1) == 4);
			update_to(two);
			/* A child of the child. */
			const pid_t second = fork();
			if (second == 0) {
				CHECK(call(1) == 6);
				update_to(one);
				_exit(0);
			}
			CHECK(status_of(second) == 0 && call(1) == 6);
			_exit(0);
		}
		update_to(two);
		say(from_parent[1]);
		hear(from_child[0]);
		CHECK(call(1) == 6);
		update_to(one);
		update_to(two);
		say(from_parent[1]);
		CHECK(status_of(child) == 0 && call(1) == 6);
		for (int end = 0; end < 2; end++)
			CHECK(close(from_child[end]) == 0 && close(from_parent[end]) == 0);
	}
}

/* ---- Handlers of fork update, between the runtime's hooks and the fork --------------------------------- */

static int is_ready;
static void update_before(void)
{
	if (is_ready)
		update_to(two);
}
static void update_after(void)
{
	if (is_ready)
		update_to(one);
}

static void check_in_child(void)
{
	if (!is_ready)
		return;
	/* The parent updates meanwhile. */
	usleep(2000);
	CHECK(call(1) == 6);
	update_to(one);
}

/* Handlers that were installed first run last before a fork, and first after it. */
__attribute__((constructor(101))) static void watch_forks(void)
{
	CHECK(pthread_atfork(update_before, update_after, check_in_child) == 0);
}

static void updates_inside_of_fork(void)
{
	is_ready = 1;
	for (int i = 0; i < 20; i++) {
		const pid_t child = fork();
		if (child == 0) {
			CHECK(call(1) == 4);
			update_to(two);
			usleep(1000);
			CHECK(call(1) == 6);
			_exit(0);
		}
		for (int k = 0; k < 100; k++)
			update_to(k % 2 ? one : two);
		CHECK(status_of(child) == 0);
	}
	is_ready = 0;
}

/* ---- No file can be opened ----------------------------------------------------------------------------- */

static void no_files(void)
{
	struct rlimit before, none;
	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	none = before;
	none.rlim_cur = 0;
	update_to(one);
	/* An alias that is there needs no file. */
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	update_to(two);
	update_to(one);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	copy_page((const void *)call);
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	const int result = static_call_update(key, two);
	CHECK(result == -EACCES && call(1) == 4 && static_call_query(key) == one);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK(static_call_update(made_pointer, two) == 0);
	copy_page((const void *)call_pointer);
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK(static_call_make_pointer(made_pointer) == -EACCES && call_pointer(1) == 6);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK(static_call_make_pointer(made_pointer) == 0 && call_pointer(1) == 6);
	static_call_set(made_pointer, one);
	CHECK(call_pointer(1) == 4);
	CHECK(static_call_writer() == STATIC_CALL_WRITER_ALIAS);
	update_to(two);
	update_to(one);
}

/* ---- Files may have no length -------------------------------------------------------------------------- */

/* With another writer to step down to, the update would succeed, and no alias be used any more. */
static void no_long_files(void)
{
	struct rlimit before, none;
	CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
	none = before;
	none.rlim_cur = 0;
	update_to(one);
	copy_page((const void *)call);
	CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
	/* A longer file would end the process with SIGXFSZ. */
	const int result = static_call_update(key, two);
	CHECK(result == -EACCES && call(1) == 4 && static_call_query(key) == one);
	CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
	update_to(two);
	update_to(one);
}

static void plugins(const char *path)
{
	for (int i = 0; i < 10; i++) {
		void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		CHECK(plugin && mappings("r-xp") == 2 && mappings("rw-s") == 2);
		update_to(i % 2 ? one : two);
		CHECK(dlclose(plugin) == 0 && mappings("r-xp") == 1 && mappings("rw-s") == 1);
	}
}

static void after_the_seal(const char *path)
{
	update_to(one);
	CHECK(static_call_seal() == 0);
	CHECK(mappings("rw-s") == 0 && writable_code() == 0 && call(1) == 4);
	CHECK(static_call_update(key, two) == -EROFS && call(1) == 4);
	void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	CHECK(plugin && mappings("rw-s") == 0);
	CHECK(dlclose(plugin) == 0 && call(1) == 4);
}

/* Before the program's own image is registered. */
__attribute__((constructor(100))) static void copy_early(void)
{
	if (getenv("COPY_EARLY"))
		copy_page((const void *)call);
	if (getenv("DENY") && deny_write_execute() != 0)
		_exit(77);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	alarm(60);
	if (!getenv("COPY_EARLY")) {
		what_is_mapped();
		pages_that_somebody_copies();
		pages_that_are_copied_during_updates();
		children();
		updates_inside_of_fork();
		no_files();
		if (!getenv("DENY"))
			no_long_files();
		plugins(argv[1]);
		after_the_seal(argv[1]);
	} else {
		CHECK(mappings("r-xp") == 0 && mappings("rw-s") == 0 && call(1) == 4);
	}
	report();
	return 0;
}
