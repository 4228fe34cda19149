/* After the seal, no write to writable memory redirects a static call. Each writable word of the runtime,
 * of the image descriptors and after the sites is damaged in a process of its own, which then calls,
 * updates, loads and unloads. Each call is right, or the process ends. Finally, a completely forged image
 * is unloaded. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "sealed_writes.h"

enum { GOES_ELSEWHERE = 66, IS_WRONG, IS_UPDATED };

__attribute__((noinline)) int host_default(int a) { return a + 1; }
__attribute__((noinline)) static int host_other(int a) { return a + 2; }
__attribute__((visibility("default"))) DEFINE_STATIC_CALL(host_key, host_default);

__attribute__((noinline)) static int host_call(int a) { return static_call(host_key, a) + 0; }
__attribute__((noinline)) static int host_tail(int a) { return static_call(host_key, a); }

/* Only a damaged word leads here. */
static void elsewhere(void) { _exit(GOES_ELSEWHERE); }

/* Values for a damaged word: pointers to `elsewhere` and zeros, to `elsewhere` everywhere, or to words
 * that point to these. */
static uintptr_t function[1024], functions[1024], pointers[1024];

/* The program's own handler. The runtime's handler, if there is one, calls it. */
static volatile int traps;
static void on_trap(int signal) { traps += signal == SIGTRAP; }

static const char *plugin_path;
/* Standard error, for the checks only, because crashing processes print a lot. */
static int errors;

#define expect(is_so) ((is_so) ? (void)0 : wrong(__LINE__, #is_so))

static void wrong(int line, const char *what)
{
	dprintf(errors, "%d: not so: %s\n", line, what);
	_exit(IS_WRONG);
}

static void check_calls(void) { expect(host_call(1) == 3 && host_tail(2) == 4); }

static void check_plugin(void *plugin)
{
	int (*call)(int), (*tail)(int);
	*(void **)&call = dlsym(plugin, "plugin_call");
	*(void **)&tail = dlsym(plugin, "plugin_tail");
	expect(call(5) == 7 && tail(5) == 10);
}

static void use(void *plugin)
{
	check_calls();
	if (static_call_update(host_key, host_default) == 0)
		_exit(IS_UPDATED);
	check_calls();
	if (plugin == NULL)
		plugin = dlopen(plugin_path, RTLD_NOW);
	expect(plugin != NULL);
	check_calls();
	check_plugin(plugin);
	expect(dlclose(plugin) == 0);
	check_calls();
#if defined(__x86_64__) || defined(__i386__)
	traps = 0;
	__asm__ volatile("int3");
	expect(traps == 1);
#endif
	struct static_call_info info;
	static_call_process_info(&info);
	(void)static_call_seal();
	check_calls();
}

static unsigned tried, ended;

/* Stores a word in a process of its own and exercises everything. */
static void damage(uintptr_t *word, uintptr_t value, const char *what, void *plugin)
{
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		/* It may wait for a damaged lock until a signal ends it. */
		const struct itimerval soon = { .it_value = { .tv_usec = 400000 } };
		setitimer(ITIMER_REAL, &soon, NULL);
		close(STDERR_FILENO);
		*word = value;
		use(plugin);
		_exit(0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child);
	tried++;
	ended += status != 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) >= GOES_ELSEWHERE && WEXITSTATUS(status) <= IS_UPDATED) {
		static const char *const outcome[] = { "a call goes elsewhere", "a result is wrong",
						       "an update passes" };
		fprintf(stderr, "%s, word at %p = %#lx: %s\n", what, (void *)word, (unsigned long)value,
			outcome[WEXITSTATUS(status) - GOES_ELSEWHERE]);
		CHECK(!"the seal holds");
	}
}

/* The start of the zeros, mostly padding, at the end of a page, or the page's end. The first words are
 * skipped. */
static char *end_of_use(char *start, char *end)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	char *page_end = (char *)(((uintptr_t)start + page) & -page), *used = start + 256;
	if (page_end > end || used > page_end)
		return page_end > end ? end : page_end;
	for (char *byte = used; byte < page_end; byte++)
		if (*byte != 0)
			return page_end;
	return used;
}

static void damage_all(char *start, char *end, const char *what, void *plugin)
{
	char *used = end_of_use(start, end);
	for (uintptr_t *word = (uintptr_t *)start; word + 1 <= (uintptr_t *)end; word++) {
		if ((char *)word >= used) {
			const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
			word = (uintptr_t *)(((uintptr_t)word + page - 1) & -page);
			if (word + 1 > (uintptr_t *)end)
				break;
			used = end_of_use((char *)word, end);
		}
		const uintptr_t values[] = { (uintptr_t)pointers,
					     (uintptr_t)functions,
					     (uintptr_t)function,
					     (uintptr_t)elsewhere,
					     1,
					     -1 };
		for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++)
			damage(word, values[i], what, plugin);
	}
}

/* Whether the runtime has mapped this memory, which then contains the key's address. */
static int knows_the_key(char *start, char *end)
{
	for (uintptr_t *word = (uintptr_t *)start; word < (uintptr_t *)end; word++)
		if (*word == (uintptr_t)&STATIC_CALL_KEY(host_key))
			return 1;
	return 0;
}

/* Finds the data segment that holds a symbol. */
struct data {
	uintptr_t symbol, start, end;
};

static int find_data(struct dl_phdr_info *info, size_t size, void *argument)
{
	struct data *data = argument;
	uintptr_t start = 0, end = 0;
	int is_it = 0;
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const uintptr_t at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		if (info->dlpi_phdr[i].p_type != PT_LOAD)
			continue;
		is_it |= data->symbol - at < info->dlpi_phdr[i].p_memsz;
		if (!(info->dlpi_phdr[i].p_flags & PF_W))
			continue;
		start = start == 0 ? at : start;
		end = at + info->dlpi_phdr[i].p_memsz;
	}
	if (is_it)
		*data = (struct data){ data->symbol, start, end };
	return is_it;
}

/* Every writable page of the runtime, and of `image` from its keys to its end. */
static void damage_memory(struct image *image)
{
	static struct {
		unsigned long start, end;
		const char *what;
	} found[64];
	unsigned count = 0;
	char line[512];
	struct data own = { (uintptr_t)static_call_mode, 0, 0 };
	CHECK(dl_iterate_phdr(find_data, &own) == 1);
	const struct {
		unsigned long start, end;
		const char *what;
	} known[] = {
		{ own.start, own.end, "the runtime's data" },
		{ (uintptr_t)image->keys, (uintptr_t)image->end, "the image's tables" },
	};
	FILE *maps = fopen("/proc/self/maps", "r");
	CHECK(maps != NULL);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		char rights[5], path[256] = "";
		CHECK(sscanf(line, "%lx-%lx %4s %*s %*s %*s %255s", &start, &end, rights, path) >= 3);
		if (rights[1] != 'w')
			continue;
		int is_known = 0;
		for (unsigned i = 0; i < 2; i++) {
			const unsigned long from = start > known[i].start ? start : known[i].start;
			const unsigned long to = end < known[i].end ? end : known[i].end;
			if (from < to) {
				CHECK(count < 64);
				found[count].start = from;
				found[count].end = to;
				found[count++].what = known[i].what;
				is_known = 1;
			}
		}
		if (!is_known && path[0] == 0 && knows_the_key((char *)start, (char *)end)) {
			CHECK(count < 64);
			found[count].start = start;
			found[count].end = end;
			found[count++].what = "the runtime's memory";
		}
	}
	fclose(maps);
	CHECK(count > 0);
	for (unsigned i = 0; i < count; i++)
		damage_all((char *)found[i].start, (char *)found[i].end, found[i].what, NULL);
}

/* Unloads a plugin whose descriptor now names forged records, with a call of the program as their site. */
static void unload_forged(void *plugin)
{
	/* Not of a key's type, since the pass would put it into the keys' section. */
	static uintptr_t key[sizeof(struct static_call_key) / sizeof(uintptr_t)];
	static struct record record;
	static int site;
	struct image *(*descriptor)(void);
	*(void **)&descriptor = dlsym(plugin, "plugin_image");
	struct image *forged = descriptor();

	memcpy(key, &STATIC_CALL_KEY(host_key), sizeof(key));
	for (int *known = image.sites; known < image.sites_end; known++) {
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			site = (int)((char *)known + *known - (char *)&site);
			record.key = (struct static_call_key *)key;
			record.sites = &site;
			record.count = 1;
			record.trampoline = (int)((char *)elsewhere - (char *)&record);
			forged->records = &record;
			forged->records_end = &record + 1;
			forged->text = image.text;
			forged->text_end = image.text_end;
			forged->text_flags = image.text_flags;
			expect(dlclose(plugin) == 0);
			check_calls();
			_exit(0);
		}
		int status;
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
	}
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	plugin_path = argv[1];
	errors = dup(STDERR_FILENO);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	function[0] = (uintptr_t)elsewhere;
	for (unsigned i = 0; i < 1024; i++) {
		functions[i] = (uintptr_t)elsewhere;
		pointers[i] = (uintptr_t)functions;
	}
	signal(SIGTRAP, on_trap);
	CHECK(static_call_update(host_key, host_other) == 0);
	CHECK(static_call_seal() == 0);

	const unsigned before = ended;
	damage(&functions[1], (uintptr_t)elsewhere, "nothing", NULL);
	CHECK(ended == before);

	damage_all((char *)&image, (char *)(&image + 1), "the program's descriptor", NULL);
	damage_memory(&image);
	void *plugin = dlopen(plugin_path, RTLD_NOW);
	CHECK(plugin != NULL);
	struct image *(*descriptor)(void);
	*(void **)&descriptor = dlsym(plugin, "plugin_image");
	damage_all((char *)descriptor(), (char *)(descriptor() + 1), "the plugin's descriptor", plugin);
	unload_forged(plugin);
	CHECK(tried > 100 && ended < tried);
	fprintf(stderr, "%u words damaged, %u processes ended\n", tried, ended);
	report();
	return 0;
}
