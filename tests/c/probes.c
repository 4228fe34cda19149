/*
 * Uprobes on calls of keys and on static branches, attached and detached before, between and after updates.
 * To detach a uprobe, the kernel restores the first byte from the file, whatever the runtime has written
 * since.
 *
 * This needs root, and exits with 77 if the kernel refuses.
 */
#define _GNU_SOURCE
#include "check.h"

#include <static_branch.h>

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

static int traced;
static void trace(int x) { traced += x; }
static long compute(long x) { return x + 7; }
static long other(long x) { return x + 8; }

DEFINE_STATIC_CALL_NULL(hook, trace);
DEFINE_STATIC_CALL_RET0(zero, compute);
DEFINE_STATIC_CALL(always, compute);
static DEFINE_STATIC_KEY_FALSE(mostly_off);
static DEFINE_STATIC_KEY_TRUE(mostly_on);

NOINLINE static void tail(int x) { static_call_cond(hook, x); }
NOINLINE static void conditional_tail(int x)
{
	if (x)
		static_call_cond(hook, x);
}
NOINLINE static long call(long x)
{
	static_call_cond(hook, 1);
	return x + 1;
}
NOINLINE static long call_zero(long x) { return static_call(zero, x) + 1; }
NOINLINE static long call_always(long x) { return static_call(always, x) + 1; }
NOINLINE static long tail_always(long x) { return static_call(always, x); }
NOINLINE static long unlikely(long x) { return static_branch_unlikely(&mostly_off) ? x + 3 : x; }
NOINLINE static long likely(long x) { return static_branch_likely(&mostly_on) ? x : x + 3; }

/* The file offset of an address. */
struct place {
	uintptr_t address;
	uint64_t offset;
};

static int find(struct dl_phdr_info *info, size_t size, void *data)
{
	struct place *place = data;
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + segment->p_vaddr;
		if (segment->p_type == PT_LOAD && place->address - start < segment->p_filesz) {
			place->offset = place->address - start + segment->p_offset;
			return 1;
		}
	}
	return 0;
}

static unsigned probe_type;

static int attach(const unsigned char *at)
{
	struct place place = { (uintptr_t)at, 0 };
	struct perf_event_attr event;
	char path[4096];
	CHECK(dl_iterate_phdr(find, &place) == 1);
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	CHECK(length > 0);
	path[length] = 0;
	memset(&event, 0, sizeof event);
	event.size = sizeof event;
	event.type = probe_type;
	event.config1 = (uintptr_t)path;
	event.config2 = place.offset;
	int file = (int)syscall(SYS_perf_event_open, &event, getpid(), -1, -1, 0);
	if (file < 0) {
		printf("skipped: a uprobe at %#lx of the file: %s\n", (unsigned long)place.offset,
		       strerror(errno));
		exit(77);
	}
	return file;
}

static void detach(int file, uint64_t hits)
{
	uint64_t count = 0;
	CHECK(read(file, &count, sizeof count) == sizeof count);
	if (count != hits) {
		fprintf(stderr, "%lu hits instead of %lu\n", (unsigned long)count, (unsigned long)hits);
		exit(1);
	}
	close(file);
}

static int is_padding(unsigned char byte) { return byte == 0x67 || byte == 0x64; }

#ifndef WITHOUT_PASS
/* The first prefix of the only call of a key in a function. */
static const unsigned char *site(const void *function)
{
	const unsigned char *at = function;
	while (!is_padding(*at))
		at++;
	return at;
}
#endif

#ifdef __x86_64__
/* The first prefix of the only branch in a function, which is a jump or a no-op by now. (On i686, a branch in
 * position-independent code is a load.) */
static const unsigned char *branch(const void *function)
{
	const unsigned char *at = function;
	for (;; at++) {
		const unsigned char *end = at;
		while (is_padding(*end))
			end++;
		if (end > at && (*end == 0xe9 || (end[0] == 0x0f && end[1] == 0x1f)))
			return at;
	}
}
#endif

#ifdef CONDITIONAL
/* A conditional jump has a prefix only if its alignment needs one. */
static const unsigned char *conditional(const void *function)
{
	const unsigned char *at = function;
	while (at[0] != 0x0f || (at[1] & 0xf0) != 0x80)
		at++;
	while (is_padding(at[-1]))
		at--;
	return at;
}
#endif

static void all(int on)
{
	traced = 0;
	tail(2);
	conditional_tail(0);
	CHECK(call(1) == 2);
	CHECK(traced == (on ? 3 : 0));
	CHECK(call_zero(1) == (on ? 9 : 1));
	CHECK(call_always(1) == (on ? 10 : 9));
	CHECK(tail_always(1) == (on ? 9 : 8));
	CHECK(unlikely(1) == (on ? 4 : 1) && likely(1) == (on ? 4 : 1));
}

static void set(int on)
{
	CHECK((on ? static_call_update(hook, trace) : static_call_update(hook, NULL)) == 0);
	CHECK((on ? static_call_update(zero, compute) : static_call_update_ret0(zero)) == 0);
	CHECK(static_call_update(always, on ? other : compute) == 0);
	CHECK((on ? static_branch_enable(&mostly_off) : static_branch_disable(&mostly_off)) == 0);
	CHECK((on ? static_branch_disable(&mostly_on) : static_branch_enable(&mostly_on)) == 0);
}

static void probe(const unsigned char *at, uint64_t hits)
{
	/* Nothing is updated meanwhile, and the key is off. */
	int file = attach(at);
	all(0);
	detach(file, hits);
	all(0);
	/* Attached to one form of the call, and detached from another. */
	set(1);
	file = attach(at);
	all(1);
	set(0);
	all(0);
	detach(file, 2 * hits);
	all(0);
	set(1);
	all(1);
	set(0);
	all(0);
}

#ifdef CONDITIONAL
/* A conditional jump's opcode never changes, so it may lack a prefix. An update would then find the
 * breakpoint, so the probe is detached meanwhile. */
static void probe_conditional(const unsigned char *at)
{
	for (int on = 0; on < 2; on++) {
		set(on);
		int file = attach(at);
		all(on);
		detach(file, 1);
		all(on);
	}
	set(0);
	all(0);
}
#endif

int main(void)
{
	FILE *type = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
	if (geteuid() != 0 || !type || fscanf(type, "%u", &probe_type) != 1) {
		printf("skipped: not root, or a kernel without uprobes\n");
		return 77;
	}
	fclose(type);
	all(0);
#ifdef __x86_64__
	/* On the branch, whichever way it goes. */
	probe(branch((void *)unlikely), 1);
	probe(branch((void *)likely), 1);
#endif
	const char *mode = getenv("STATIC_CALL_MODE");
#ifdef WITHOUT_PASS
	/* On the trampoline, which the first update patches. */
	const unsigned char *call_of_it = (const unsigned char *)call_always;
	while (*call_of_it != 0xe8)
		call_of_it++;
	(void)mode;
#else
	/* On the call, whatever its form. */
	probe(site((void *)tail), 1);
	probe(site((void *)call), 1);
	probe(site((void *)call_zero), 1);
	probe(site((void *)call_always), 1);
	probe(site((void *)tail_always), 1);
	/* At the start of a function, which may be the call. */
	probe((void *)tail, 1);
	probe((void *)tail_always, 1);
#ifdef CONDITIONAL
	probe_conditional(conditional((void *)conditional_tail));
#endif
	/* On the trampoline, to which the call goes if it is not direct. */
	const unsigned char *call_of_it = site((void *)call_always);
	while (is_padding(*call_of_it))
		call_of_it++;
	if (!mode || strcmp(mode, "inline") == 0)
		call_of_it = NULL;
#endif
	if (call_of_it) {
		int32_t distance;
		memcpy(&distance, call_of_it + 1, sizeof distance);
		probe(call_of_it + 5 + distance, 2);
	}
	report();
	return 0;
}
