/* A breakpoint needs little more stack than a signal's frame. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "check.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(key, one);
static atomic_int stop, traps, ready;
static ucontext_t thread_context, coroutine_context;

enum { ALTERNATE = 1 << 16, PATTERN = 0xa5 };
static _Alignas(64) unsigned char alternate[ALTERNATE];

__attribute__((noinline)) static int call(void) { return static_call(key) * 1; }

static void call_until_stopped(void)
{
	while (!stop) {
		int result = call();
		CHECK(result == 1 || result == 2);
	}
}

/* How much of the alternate stack was used since the last call. */
static size_t used(void)
{
	size_t unused = 0;
	while (unused < ALTERNATE && alternate[unused] == PATTERN)
		unused++;
	memset(alternate, PATTERN, ALTERNATE);
	return ALTERNATE - unused;
}

static void *on_alternate_stack(void *unused)
{
	stack_t stack = { .ss_sp = alternate, .ss_size = ALTERNATE };
	CHECK(sigaltstack(&stack, NULL) == 0);
	ready = 1;
	call_until_stopped();
	stack.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&stack, NULL) == 0);
	return unused;
}

static void *on_small_stack(void *size)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (*(size_t *)size + page - 1) & -page;
	char *memory = mmap(NULL, page + room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(memory != MAP_FAILED && mprotect(memory, page, PROT_NONE) == 0);
	CHECK(getcontext(&coroutine_context) == 0);
	coroutine_context.uc_stack.ss_sp = memory + page;
	coroutine_context.uc_stack.ss_size = *(size_t *)size & -(size_t)16;
	coroutine_context.uc_link = &thread_context;
	makecontext(&coroutine_context, call_until_stopped, 0);
	ready = 1;
	CHECK(swapcontext(&thread_context, &coroutine_context) == 0);
	return NULL;
}

static void updates(int number)
{
	for (int i = 0; i < number; i++)
		CHECK(PATIENTLY(static_call_update(key, i % 2 ? one : two)) == 0);
}

static void trap(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info, (void)context;
	traps++;
}

static void during_updates(void *(*run)(void *), void *argument)
{
	pthread_t thread;
	stop = ready = 0;
	CHECK(pthread_create(&thread, NULL, run, argument) == 0);
	while (!ready)
		usleep(100);
	updates(3000);
	stop = 1;
	CHECK(pthread_join(thread, NULL) == 0);
}

int main(void)
{
	/* The frame alone, and a handler that does nothing. */
	memset(alternate, PATTERN, ALTERNATE);
	struct sigaction action = { .sa_sigaction = trap, .sa_flags = SA_ONSTACK | SA_SIGINFO };
	CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
	stack_t stack = { .ss_sp = alternate, .ss_size = ALTERNATE };
	CHECK(sigaltstack(&stack, NULL) == 0 && raise(SIGTRAP) == 0 && traps == 1);
	const size_t frame = used();
	stack.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&stack, NULL) == 0 && frame > 0);

	const int with_breakpoints = static_call_writer() == STATIC_CALL_WRITER_BREAKPOINT;
	size_t with_ours = 0;
	/* On a busy machine, the thread may not run at all during an update. */
	for (int tries = 0; tries == 0 || (with_breakpoints && with_ours == 0 && tries < 100); tries++) {
		during_updates(on_alternate_stack, NULL);
		with_ours = used();
	}
	printf("a frame of %zu bytes, with our handler %zu\n", frame, with_ours);
	CHECK(with_breakpoints ? with_ours > 0 && with_ours <= frame + 192 : with_ours == 0);
	CHECK(traps == 1);

	/* What the documentation of `Writer::Breakpoint` requires, and what the loop itself uses. */
	size_t size = getauxval(AT_MINSIGSTKSZ);
	if (size) {
		size += 512 + 256;
		during_updates(on_small_stack, &size);
	}
	report();
	return 0;
}
