/* The program uses SIGTRAP itself. With the breakpoint writer, its handlers get every trap that is not
 * ours, whether they were installed before the first update or over our handler. Threads that block the
 * signal make updates fail; they do not kill the process. With the window writer, none of this matters. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "fork.h"

static int one(void) { return 1; }
static int two(void) { return 2; }
static DEFINE_STATIC_CALL(key, one);
static atomic_int stop, traps, chained;

__attribute__((noinline)) static int call(void) { return static_call(key) + 0 * printf("%s", ""); }
__attribute__((noinline)) static int tail(void) { return static_call(key); }

#ifdef __i386__
__attribute__((noinline)) static int plus_ten(void) { return static_call(key) + 10; }

/* There is no red zone here, and a signal's frame may start right at the end of the stack. */
static void unaligned(void)
{
	static _Atomic(unsigned) turn;
	unsigned bytes = turn++ % 64 * 4;
	int result;
	__asm__ volatile("sub %1, %%esp\n\tcall *%2\n\tadd %1, %%esp"
			 : "=&a"(result)
			 : "S"(bytes), "D"(plus_ten)
			 : "ecx", "edx", "memory", "cc");
	CHECK(result == 11 || result == 12);
}
#else
static void unaligned(void) {}
#endif

static void *reader(void *unused)
{
	while (!atomic_load(&stop)) {
		int a = call(), b = tail();
		CHECK((a == 1 || a == 2) && (b == 1 || b == 2));
		unaligned();
	}
	return unused;
}

static void count(int signal)
{
	CHECK(signal == SIGTRAP);
	traps++;
}

static struct sigaction replaced;

/* Like a crash reporter: inspects the trap and passes it to the previous handler. */
static void count_and_chain(int signal, siginfo_t *info, void *context)
{
	chained++;
	if (replaced.sa_flags & SA_SIGINFO)
		replaced.sa_sigaction(signal, info, context);
	else
		replaced.sa_handler(signal);
}

static void updates(int number)
{
	for (int i = 0; i < number; i++) {
		CHECK(PATIENTLY(static_call_update(key, i % 2 ? one : two)) == 0);
		CHECK(call() == (i % 2 ? 1 : 2) && tail() == call());
	}
}

/* Every way to trap. The handler gets each one, and execution continues. */
static void trap_thrice(void)
{
	__asm__ volatile("int3");
	__asm__ volatile(".byte 0xcd, 0x03"); /* int $3 */
	CHECK(raise(SIGTRAP) == 0);
}

/* Three instructions with the trap flag, below the red zone. */
__attribute__((noinline)) static void single_step(void)
{
#ifdef __i386__
	__asm__ volatile("pushf\n\torl $0x100, (%%esp)\n\tpopf\n\t"
			 "nop\n\tnop\n\tnop\n\t"
			 "pushf\n\tandl $~0x100, (%%esp)\n\tpopf" ::
				 : "memory", "cc");
#else
	__asm__ volatile("sub $128, %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\t"
			 "nop\n\tnop\n\tnop\n\t"
			 "pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq\n\tadd $128, %%rsp" ::
				 : "memory", "cc");
#endif
}

static _Atomic(int) blocked;

static void *blocker(void *unused)
{
	sigset_t set;
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	atomic_store(&blocked, 1);
	while (atomic_load(&blocked) == 1)
		usleep(100);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	atomic_store(&blocked, 3);
	while (atomic_load(&blocked) == 3)
		usleep(100);
	return unused;
}

/* The exit status of a child that runs this. */
static int end_of(void (*run)(void))
{
	pid_t child = fork();
	if (child == 0) {
		run();
		_exit(42);
	}
	const int status = status_of(child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void default_action(void)
{
	signal(SIGTRAP, SIG_DFL);
	updates(2);
	__asm__ volatile("int3");
}
static void default_action_of_kill(void)
{
	signal(SIGTRAP, SIG_DFL);
	updates(2);
	raise(SIGTRAP);
}
static void ignored_kill(void)
{
	signal(SIGTRAP, SIG_IGN);
	updates(2);
	raise(SIGTRAP);
}
static void ignored_breakpoint(void)
{
	signal(SIGTRAP, SIG_IGN);
	updates(2);
	__asm__ volatile("int3");
}

int main(void)
{
	const int with_breakpoints = static_call_writer() == STATIC_CALL_WRITER_BREAKPOINT;
	pthread_t threads[3], thread;
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&threads[i], NULL, reader, NULL) == 0);
	updates(500);

	/* Installed over ours: the next update puts ours before it. */
	struct sigaction action = { .sa_handler = count };
	CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
	updates(2);
	trap_thrice();
	CHECK(traps == 3);
	updates(500);
	CHECK(traps == 3);

	/* The same with a handler that calls the one before it, which is ours. */
	struct sigaction chaining = { .sa_sigaction = count_and_chain, .sa_flags = SA_SIGINFO };
	CHECK(sigaction(SIGTRAP, &chaining, &replaced) == 0);
	updates(2);
	trap_thrice();
	CHECK(traps == 6 && chained == 3);
	updates(500);
	CHECK(traps == 6 && chained == 3);

	/* Restored and installed again, many times. */
	for (int i = 0; i < 40; i++) {
		struct sigaction old;
		CHECK(sigaction(SIGTRAP, &action, &old) == 0);
		updates(2);
		CHECK(sigaction(SIGTRAP, &old, NULL) == 0);
		updates(2);
	}

	/* Not every trap is a breakpoint. */
	CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
	updates(2);
	int before_steps = traps;
	single_step();
	CHECK(traps >= before_steps + 3);

	/* A handler during which a breakpoint would be fatal. */
	struct sigaction deaf = { .sa_handler = count }, usual;
	sigfillset(&deaf.sa_mask);
	CHECK(sigaction(SIGUSR2, &deaf, &usual) == 0);
	CHECK(static_call_update(key, call() == 1 ? two : one) == (with_breakpoints ? -EAGAIN : 0));
	CHECK(sigaction(SIGUSR2, &usual, NULL) == 0);
	updates(2);

	CHECK(end_of(default_action) == -SIGTRAP);
	CHECK(end_of(default_action_of_kill) == -SIGTRAP);
	CHECK(end_of(ignored_kill) == 42);
	CHECK(end_of(ignored_breakpoint) == -SIGTRAP);

	/* A thread in which a trap would be fatal. */
	CHECK(pthread_create(&thread, NULL, blocker, NULL) == 0);
	while (atomic_load(&blocked) != 1)
		usleep(100);
	int before = call();
	CHECK(static_call_update(key, before == 1 ? two : one) == (with_breakpoints ? -EAGAIN : 0));
	CHECK(call() == (with_breakpoints ? before : 3 - before) && tail() == call());
	atomic_store(&blocked, 2);
	while (atomic_load(&blocked) != 3)
		usleep(100);
	updates(10);
	atomic_store(&blocked, 4);
	CHECK(pthread_join(thread, NULL) == 0);

	atomic_store(&stop, 1);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	report();
	return 0;
}
