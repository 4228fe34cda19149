/* A program without static calls loads plugins, each with its own runtime, into its own linker namespace
 * or into others. They share SIGTRAP with the program. Each trap reaches its owner once, whichever plugins
 * are loaded and unloaded. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__LINE__, #condition))

static const char *scenario = "";

__attribute__((noreturn)) static void check_failed(int line, const char *condition)
{
	fprintf(stderr, "copies.c:%d: %s: not so: %s\n", line, scenario, condition);
	abort();
}

struct plugin {
	void *handle;
	int (*call)(void);
	int (*flip)(int is_on);
	int is_on;
};

static struct plugin plugins[2];
static atomic_int stop, first, second, chained;
static struct sigaction replaced;

static struct plugin load(const char *path, int in_own_namespace)
{
	struct plugin plugin = { .handle = in_own_namespace ? dlmopen(LM_ID_NEWLM, path, RTLD_NOW)
							    : dlopen(path, RTLD_NOW | RTLD_LOCAL) };
	if (!plugin.handle)
		fprintf(stderr, "%s\n", dlerror());
	CHECK(plugin.handle != NULL);
	*(void **)&plugin.call = dlsym(plugin.handle, "plugin_call");
	*(void **)&plugin.flip = dlsym(plugin.handle, "plugin_flip");
	CHECK(plugin.call() == 1);
	return plugin;
}

static void flip(struct plugin *plugin)
{
	plugin->is_on = !plugin->is_on;
	CHECK(plugin->flip(plugin->is_on) == 0 && plugin->call() == 1 + plugin->is_on);
}

static void *caller(void *plugin)
{
	while (!stop) {
		int result = ((struct plugin *)plugin)->call();
		CHECK(result == 1 || result == 2);
	}
	return NULL;
}

static void on_first(int signal) { first += signal == SIGTRAP; }
static void on_second(int signal, siginfo_t *info, void *context)
{
	(void)context;
	second += signal == SIGTRAP && info->si_signo == SIGTRAP;
}
static void on_chained(int signal, siginfo_t *info, void *context)
{
	chained++;
	if (replaced.sa_flags & SA_SIGINFO)
		replaced.sa_sigaction(signal, info, context);
	else
		replaced.sa_handler(signal);
}

static void install(void (*handler)(int), void (*with_info)(int, siginfo_t *, void *), int mask)
{
	struct sigaction action = { .sa_handler = handler };
	if (with_info) {
		action.sa_sigaction = with_info;
		action.sa_flags = SA_SIGINFO;
	}
	sigemptyset(&action.sa_mask);
	for (int bit = 0; bit < 8; bit++)
		if (mask & 1 << bit)
			sigaddset(&action.sa_mask, SIGRTMIN + bit);
	CHECK(sigaction(SIGTRAP, &action, with_info == on_chained ? &replaced : NULL) == 0);
}

/* A breakpoint and a signal that belong to no plugin, and how often each handler must run. */
static void expect(int firsts, int seconds, int chains)
{
	first = second = chained = 0;
	__asm__ volatile("int3");
	CHECK(first == firsts && second == seconds && chained == chains);
	CHECK(raise(SIGTRAP) == 0);
	CHECK(first == 2 * firsts && second == 2 * seconds && chained == 2 * chains);
}

static void both_flip(int times)
{
	for (int i = 0; i < times; i++) {
		flip(&plugins[0]);
		flip(&plugins[1]);
	}
}

/* A breakpoint that belongs to no plugin ends a child. */
static void expect_default(void)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		both_flip(1);
		__asm__ volatile("int3");
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP);
}

static void run(char **paths, int in_own_namespace, int is_handled_before, int unloaded_first)
{
	pthread_t threads[2];
	if (is_handled_before)
		install(on_first, NULL, 0);
	for (int i = 0; i < 2; i++) {
		plugins[i] = load(paths[i], in_own_namespace);
		CHECK(pthread_create(&threads[i], NULL, caller, &plugins[i]) == 0);
	}
	both_flip(200);
	if (is_handled_before)
		expect(1, 0, 0);
	else
		expect_default();
	stop = 1;
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);

	/* The program's handlers are installed over a copy's; the next update installs a copy's over them. */
	for (int i = 0; i < 1000; i++) {
		install(i % 2 ? on_first : NULL, i % 2 ? NULL : on_second, i / 4);
		flip(&plugins[i / 2 % 2]);
		expect(i % 2, 1 - i % 2, 0);
	}
	install(on_first, NULL, 0);
	both_flip(2);
	expect(1, 0, 0);
	/* A handler that calls its predecessor, and is removed again. */
	for (int i = 0; i < 20; i++) {
		install(NULL, on_chained, 0);
		expect(1, 0, 1);
		flip(&plugins[i % 2]);
		expect(1, 0, 1);
		both_flip(2);
		expect(1, 0, 1);
		CHECK(sigaction(SIGTRAP, &replaced, NULL) == 0);
		expect(1, 0, 0);
		flip(&plugins[i % 2]);
		expect(1, 0, 0);
	}
	/* A handler for one signal only. */
	struct sigaction once = { .sa_handler = on_first, .sa_flags = (int)SA_RESETHAND };
	pid_t child = fork();
	if (child == 0) {
		CHECK(sigaction(SIGTRAP, &once, NULL) == 0);
		both_flip(1);
		first = 0;
		__asm__ volatile("int3");
		CHECK(first == 1);
		__asm__ volatile("int3");
		_exit(0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP);

	CHECK(dlclose(plugins[unloaded_first].handle) == 0);
	expect(1, 0, 0);
	flip(&plugins[1 - unloaded_first]);
	expect(1, 0, 0);
	install(NULL, on_second, 0);
	flip(&plugins[1 - unloaded_first]);
	expect(0, 1, 0);
	CHECK(dlclose(plugins[1 - unloaded_first].handle) == 0);
	expect(0, 1, 0);
	struct sigaction present;
	CHECK(sigaction(SIGTRAP, NULL, &present) == 0 && present.sa_sigaction == on_second);
}

/* The size of the address space in pages. */
static long space(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	CHECK(file && fscanf(file, "%ld", &pages) == 1 && fclose(file) == 0);
	return pages;
}

/* Loading, updating and unloading a plugin leaves nothing behind. */
static void come_and_go(const char *path)
{
	long before = 0;
	install(on_first, NULL, 0);
	for (int i = 0; i < 120; i++) {
		plugins[0] = load(path, 0);
		flip(&plugins[0]);
		CHECK(dlclose(plugins[0].handle) == 0);
		expect(1, 0, 0);
		plugins[0].is_on = 0;
		if (i == 20)
			before = space();
	}
	CHECK(space() - before < 50);
}

/* Many handlers in turn are installed over ours for a while. However many there were, the handler that is
 * put back still leads to the right one, which is not the first and changes later. */
static void one_after_the_other(const char *path)
{
	plugins[0] = load(path, 0);
	flip(&plugins[0]);
	for (int i = 0; i < 200; i++) {
		const int is_first = i < 100;
		if (i == 0)
			install(on_first, NULL, 0);
		if (i == 100)
			install(NULL, on_second, 0);
		flip(&plugins[0]);
		expect(is_first, !is_first, 0);
		install(NULL, on_chained, i);
		flip(&plugins[0]);
		expect(is_first, !is_first, 1);
		CHECK(sigaction(SIGTRAP, &replaced, NULL) == 0);
		expect(is_first, !is_first, 0);
	}
	CHECK(dlclose(plugins[0].handle) == 0);
	expect(0, 1, 0);
}

/* The plugin to unload next: forwards, backwards, or every other one and then the rest in either
 * direction. */
static int turn(int order, int i, int count)
{
	const int half = (count + 1) / 2;
	if (order < 2)
		return order ? count - 1 - i : i;
	if (i < half)
		return 2 * i;
	return 2 * (order == 2 ? i - half : count - 1 - i) + 1;
}

/* More stacked copies than a copy has entries. */
static void many(char **paths, int count, int order)
{
	struct plugin *all = calloc((size_t)count, sizeof *all);
	struct sigaction present, later;
	CHECK(all);
	install(on_first, NULL, 0);
	for (int i = 0; i < count; i++)
		all[i] = load(paths[i], 0);
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < count; i++)
			flip(&all[i]);
		expect(1, 0, 0);
		if (round == 1)
			install(on_first, NULL, 0);
	}
	/* The current action leads to each copy, however indirectly, so no copy installs anything. */
	CHECK(sigaction(SIGTRAP, NULL, &present) == 0);
	for (int i = 0; i < count; i++) {
		flip(&all[i]);
		CHECK(sigaction(SIGTRAP, NULL, &later) == 0 && later.sa_handler == present.sa_handler);
	}
	for (int i = 0; i < count; i++) {
		if (i == count / 2)
			for (int left = i; left < count; left++)
				flip(&all[turn(order, left, count)]);
		CHECK(dlclose(all[turn(order, i, count)].handle) == 0);
		expect(1, 0, 0);
	}
	CHECK(sigaction(SIGTRAP, NULL, &present) == 0 && present.sa_handler == on_first);
	free(all);
}

/* copies PLUGIN...: all of them copies of one plugin */
int main(int argc, char **argv)
{
	CHECK(argc > 3);
	for (int number = 0; number < 13; number++) {
		char name[64];
		if (number < 8)
			snprintf(name, sizeof name, "%s, %s, the %s is unloaded first",
				 number & 1 ? "other namespaces" : "the same namespace",
				 number & 2 ? "a handler before" : "no handler before",
				 number & 4 ? "second" : "first");
		else if (number < 12)
			snprintf(name, sizeof name, "many copies, unloaded in order %d", number - 8);
		else
			snprintf(name, sizeof name, "one handler after the other");
		scenario = name;
		int status;
		pid_t child = fork();
		if (child == 0) {
			alarm(60);
			if (number < 8)
				run(argv + 1, number & 1, number & 2, !!(number & 4));
			else if (number < 12)
				many(argv + 1, argc - 1, number - 8);
			else
				one_after_the_other(argv[1]);
			exit(0);
		}
		CHECK(waitpid(child, &status, 0) == child);
		if (status) {
			fprintf(stderr, "%s: status %#x\n", scenario, status);
			return 1;
		}
	}
	scenario = "come and go";
	come_and_go(argv[1]);
	printf("good\n");
	return 0;
}
