/* Everything at once: threads that call, while others update, load and unload a plugin, fork, and raise
 * signals. Each result is held against what was published around its call: it is never older than the last
 * update that had returned before the call began, and never newer than the last one that had begun when it
 * ended.
 *
 *     torture --seconds N PLUGIN
 *
 * ../rust/torture is the same in Rust. */
#define _GNU_SOURCE /* names of registers */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "check.h"
#include "torture.h"

enum { READERS = 4, UPDATER = READERS, LOADER, FORKER, SIGNALLER, THREADS };
enum { STUCK_AFTER = 60, CHILD_STUCK_AFTER = 30 };

extern char **environ;

/* ---- Threads, and what is known of them -------------------------------------------------------- */

static struct thread {
	const char *name;
	pthread_t id;
	_Atomic(const char *) doing;
	atomic_ulong steps;
	atomic_bool is_over;
} threads[THREADS] = {
	{ .name = "reader 1" }, { .name = "reader 2" }, { .name = "reader 3" }, { .name = "reader 4" },
	{ .name = "updater" }, { .name = "loader" }, { .name = "forker" }, { .name = "signaller" },
};
static atomic_bool stop;
static atomic_ulong calls, updates, loads, forks, signals, busy;
static const char *plugin_path;
static _Thread_local const char *here = "main";

/* Says what is wrong and ends the process: on any thread, in signal handlers and children as well. */
__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
	char text[400];
	int head = snprintf(text, sizeof text, "torture: %s: ", here);
	va_list arguments;
	va_start(arguments, format);
	int body = vsnprintf(text + head, sizeof text - 1 - head, format, arguments);
	va_end(arguments);
	size_t length = head + body < (int)sizeof text - 1 ? (size_t)(head + body) : sizeof text - 2;
	text[length] = '\n';
	if (write(STDERR_FILENO, text, length + 1) < 0)
		_exit(2);
	_exit(1);
}

#define MUST(condition)                                                                             \
	((condition) ? (void)0 : fail("line %d: not so: %s (errno %d)", __LINE__, #condition, errno))

static void doing(int thread, const char *what) { atomic_store(&threads[thread].doing, what); }

static void pause_for(long microseconds)
{
	struct timespec time = { microseconds / 1000000, microseconds % 1000000 * 1000 };
	nanosleep(&time, NULL);
}

static uint64_t random_below(uint64_t *state, uint64_t limit)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state % limit;
}

/* ---- Keys, and what is published of them ------------------------------------------------------- */

DEFINE_TARGETS(plain_targets, PLAIN);
DEFINE_TARGETS(shared_targets, SHARED);
DEFINE_TARGETS(zero_targets, ZERO);
DEFINE_TARGETS(visitor_targets, VISITOR);
DEFINE_TARGETS(handler_targets, HANDLER);
DEFINE_HOOKS(hooks);

EXPORT DEFINE_STATIC_CALL(plain_key, plain_targets0);
EXPORT DEFINE_STATIC_CALL_RET0(zero_key, answer);
EXPORT DEFINE_STATIC_CALL(visitor_key, visitor_targets0);
EXPORT DEFINE_STATIC_CALL_NULL(hook_key, put_answer);
static DEFINE_STATIC_CALL(handler_key, handler_targets0);

/* One key's updates, numbered: the last that returned, and the last that began. */
struct epochs {
	atomic_ulong finished, begun;
};
static struct epochs epochs[KEYS];
static const char *const key_names[KEYS] = {
	[PLAIN] = "the program's key", [SHARED] = "the shared object's key", [ZERO] = "the RET0 key",
	[VISITOR] = "the key with targets in the plugin", [HANDLER] = "the signal handlers' key",
	[HOOK] = "the hook", [PLUGIN] = "the plugin's key",
};

/* What a key answers in an epoch: two of them are off in every other one. */
static uint64_t expected(int key, uint64_t epoch, uint64_t argument)
{
	if ((key == ZERO || key == HOOK) && epoch % 2 == 0)
		return 0;
	return ANSWER(key, epoch % TARGETS, argument);
}

static void check(int key, const char *site, uint64_t argument, uint64_t seen, uint64_t from, uint64_t to)
{
	for (uint64_t epoch = from; epoch <= to && epoch < from + TARGETS; epoch++)
		if (seen == expected(key, epoch, argument))
			return;
	bool is_stale = false;
	for (uint64_t epoch = 0; epoch < TARGETS; epoch++)
		is_stale |= seen == expected(key, epoch, argument);
	fail("%s: %s of %s, called with %#" PRIx64 " between epochs %" PRIu64 " and %" PRIu64 ", gave %#" PRIx64,
	     is_stale ? "STALE" : "WRONG", site, key_names[key], argument, from, to, seen);
}

/* Makes a call and checks its result. */
#define CALL(key, site, argument, call)                                                             \
	do {                                                                                        \
		const uint64_t from = atomic_load_explicit(&epochs[key].finished, memory_order_acquire); \
		const uint64_t seen = (call);                                                       \
		const uint64_t to = atomic_load_explicit(&epochs[key].begun, memory_order_acquire); \
		check(key, site, argument, seen, from, to);                                         \
	} while (0)

#define NOINLINE __attribute__((noinline))

NOINLINE static uint64_t tail_plain(uint64_t argument) { return static_call(plain_key, argument); }
NOINLINE static uint64_t tail_shared(uint64_t argument) { return static_call(shared_key, argument); }
NOINLINE static uint64_t tail_zero(uint64_t argument) { return static_call(zero_key, argument); }
NOINLINE static uint64_t tail_handler(uint64_t argument) { return static_call(handler_key, argument); }
NOINLINE static void tail_hook(uint64_t argument, uint64_t *out) { static_call_cond(hook_key, argument, out); }
/* One conditional jump, with optimization. */
NOINLINE static uint64_t conditional_plain(uint64_t argument)
{
	if (argument == UINT64_MAX)
		return 0;
	return static_call(plain_key, argument);
}
NOINLINE static uint64_t conditional_zero(uint64_t argument)
{
	if (argument == UINT64_MAX)
		return 1;
	return static_call(zero_key, argument);
}
NOINLINE static void conditional_hook(uint64_t argument, uint64_t *out)
{
	if (argument != UINT64_MAX)
		static_call_cond(hook_key, argument, out);
}

static uint64_t inlined_hook(uint64_t argument)
{
	uint64_t out = 0;
	static_call_cond(hook_key, argument, &out);
	return out;
}

static uint64_t hook_by(put_answer *call, uint64_t argument)
{
	uint64_t out = 0;
	call(argument, &out);
	return out;
}

/* Every site that lives as long as the process, once each; how many they are. */
static unsigned call_all(uint64_t a)
{
	uint64_t none = UINT64_MAX;
	/* Or the optimizer would see which way the conditional calls go. */
	__asm__ volatile("" : "+r"(a), "+r"(none));
	if (conditional_plain(none) != 0 || conditional_zero(none) != 1 || hook_by(conditional_hook, none) != 0)
		fail("WRONG: a conditional tail call was made although its condition is false");
	CALL(PLAIN, "a call", a, static_call(plain_key, a));
	CALL(PLAIN, "a tail call", a, tail_plain(a));
	CALL(PLAIN, "a conditional tail call", a, conditional_plain(a));
	CALL(PLAIN, "the shared object's call", a, shared_call_plain(a));
	CALL(PLAIN, "the shared object's tail call", a, shared_tail_plain(a));
	CALL(PLAIN, "the shared object's conditional tail call", a, shared_conditional_plain(a));
	CALL(SHARED, "a call", a, static_call(shared_key, a));
	CALL(SHARED, "a tail call", a, tail_shared(a));
	CALL(SHARED, "the shared object's call", a, shared_call_shared(a));
	CALL(SHARED, "the shared object's tail call", a, shared_tail_shared(a));
	CALL(ZERO, "a call", a, static_call(zero_key, a));
	CALL(ZERO, "a tail call", a, tail_zero(a));
	CALL(ZERO, "a conditional tail call", a, conditional_zero(a));
	CALL(ZERO, "the shared object's call", a, shared_call_zero(a));
	CALL(ZERO, "the shared object's tail call", a, shared_tail_zero(a));
	CALL(HOOK, "a call", a, inlined_hook(a));
	CALL(HOOK, "a tail call", a, hook_by(tail_hook, a));
	CALL(HOOK, "a conditional tail call", a, hook_by(conditional_hook, a));
	CALL(HOOK, "the shared object's call", a, hook_by(shared_call_hook, a));
	CALL(VISITOR, "a call", a, static_call(visitor_key, a));
	CALL(VISITOR, "the shared object's call", a, shared_call_visitor(a));
	CALL(HANDLER, "a call", a, static_call(handler_key, a));
	CALL(HANDLER, "a tail call", a, tail_handler(a));
	return 23;
}

/* The key's next change; it has begun. `far` takes a target in the shared object. */
static struct static_call_change next(int key, bool far)
{
	const uint64_t epoch = atomic_load(&epochs[key].finished) + 1, number = epoch % TARGETS;
	atomic_store(&epochs[key].begun, epoch);
	switch (key) {
	case PLAIN:
		return (struct static_call_change)STATIC_CALL_CHANGE(
			plain_key, (far ? shared_plain_targets : plain_targets)[number]);
	case SHARED:
		return (struct static_call_change)STATIC_CALL_CHANGE(
			shared_key, (far ? shared_shared_targets : shared_targets)[number]);
	case ZERO:
		if (epoch % 2 == 0)
			return (struct static_call_change)STATIC_CALL_CHANGE_RET0(zero_key);
		return (struct static_call_change)STATIC_CALL_CHANGE(
			zero_key, (far ? shared_zero_targets : zero_targets)[number]);
	default:
		return (struct static_call_change)STATIC_CALL_CHANGE(
			hook_key, epoch % 2 == 0 ? NULL : (far ? shared_hooks : hooks)[number]);
	}
}

/* The key's change has returned. */
static void finish(int key)
{
	atomic_store(&epochs[key].finished, atomic_load(&epochs[key].begun));
	atomic_fetch_add(&updates, 1);
}

/* Updates one of the updater's keys by a single update. */
static void update_one(int key, bool far)
{
	struct static_call_change change = next(key, far);
	int result;
	if (change.form == STATIC_CALL_FORM_ZERO)
		result = static_call_update_ret0_at(change.key);
	else
		result = __static_call_update(change.key, change.target);
	if (result != 0)
		fail("an update of %s gave %d", key_names[key], result);
	finish(key);
}

static const int updaters_keys[] = { PLAIN, SHARED, ZERO, HOOK };
enum { UPDATERS_KEYS = 4 };

/* ---- What the threads do ------------------------------------------------------------------------ */

static void read_step(int thread)
{
	static _Thread_local uint64_t argument;
	argument += 0x10001;
	atomic_fetch_add(&calls, call_all((argument << 3 | (unsigned)thread) & 0xffffffffff));
}

static void update_step(int thread)
{
	static uint64_t random = 0x9e3779b97f4a7c15;
	if (random_below(&random, 4) == 0) {
		struct static_call_change changes[UPDATERS_KEYS];
		const unsigned first = random_below(&random, UPDATERS_KEYS);
		const unsigned count = 2 + random_below(&random, UPDATERS_KEYS - 1);
		doing(thread, "updating several keys");
		for (unsigned i = 0; i < count; i++)
			changes[i] = next(updaters_keys[(first + i) % UPDATERS_KEYS], random_below(&random, 3) == 0);
		const int result = static_call_update_batch(changes, count);
		if (result != 0)
			fail("a batch of %u changes gave %d", count, result);
		for (unsigned i = 0; i < count; i++)
			finish(updaters_keys[(first + i) % UPDATERS_KEYS]);
	} else {
		doing(thread, "updating one key");
		update_one(updaters_keys[random_below(&random, UPDATERS_KEYS)], random_below(&random, 3) == 0);
	}
	if (random_below(&random, 8) == 0) {
		/* What has settled is looked at, too; and others get at the lock. */
		doing(thread, "sleeping");
		pause_for(random_below(&random, 200));
	}
}

/* Has all threads that call end the calls that they are in. */
static void wait_for_callers(void)
{
	for (int thread = 0; thread <= UPDATER; thread++) {
		const unsigned long steps = atomic_load(&threads[thread].steps);
		while (atomic_load(&threads[thread].steps) == steps && !atomic_load(&threads[thread].is_over))
			pause_for(100);
	}
}

static void update_visitor(answer *const targets[TARGETS])
{
	const uint64_t epoch = atomic_load(&epochs[VISITOR].finished) + 1;
	atomic_store(&epochs[VISITOR].begun, epoch);
	MUST(static_call_update(visitor_key, targets[epoch % TARGETS]) == 0);
	finish(VISITOR);
	CALL(VISITOR, "the loader's call", epoch, static_call(visitor_key, epoch));
}

static void *symbol(void *plugin, const char *name)
{
	void *found = dlsym(plugin, name);
	if (!found)
		fail("%s", dlerror());
	return found;
}

static void load_step(int thread)
{
	answer *call_plain, *tail_of_plain, *call_own, *tail_own;
	int (*update_own)(uint64_t number);
	answer *const *targets;

	doing(thread, "in dlopen");
	void *plugin = dlopen(plugin_path, RTLD_NOW | RTLD_LOCAL);
	if (!plugin)
		fail("%s", dlerror());
	*(void **)&call_plain = symbol(plugin, "plugin_call_plain");
	*(void **)&tail_of_plain = symbol(plugin, "plugin_tail_plain");
	*(void **)&call_own = symbol(plugin, "plugin_call_own");
	*(void **)&tail_own = symbol(plugin, "plugin_tail_own");
	*(void **)&update_own = symbol(plugin, "plugin_update_own");
	targets = symbol(plugin, "plugin_targets");

	doing(thread, "calling the plugin");
	check(PLUGIN, "the first call", 1, call_own(1), 0, 0);
	for (uint64_t i = 0; i < 64; i++) {
		CALL(PLAIN, "the plugin's call", i, call_plain(i));
		CALL(PLAIN, "the plugin's tail call", i, tail_of_plain(i));
		if (i % 8 == 0) {
			MUST(update_own(i / 8) == 0);
			atomic_fetch_add(&updates, 1);
			update_visitor(targets);
		}
		check(PLUGIN, "the plugin's call", i, call_own(i), i / 8, i / 8);
		check(PLUGIN, "the plugin's tail call", i, tail_own(i), i / 8, i / 8);
	}
	atomic_fetch_add(&calls, 4 * 64 + 9);
	doing(thread, "waiting for calls to leave the plugin");
	update_visitor(visitor_targets);
	wait_for_callers();
	doing(thread, "in dlclose");
	MUST(dlclose(plugin) == 0);
	MUST(dlopen(plugin_path, RTLD_NOW | RTLD_NOLOAD) == NULL);
	atomic_fetch_add(&loads, 1);
}

/* In a child no update is under way: what had begun was made or was not, and of a batch all or nothing. */
static void settle(void)
{
	const uint64_t answers[KEYS] = {
		[PLAIN] = static_call(plain_key, 4), [SHARED] = static_call(shared_key, 4),
		[ZERO] = static_call(zero_key, 4), [VISITOR] = static_call(visitor_key, 4),
		[HANDLER] = static_call(handler_key, 4), [HOOK] = inlined_hook(4),
	};
	bool is_made[2] = { false, false };
	for (int key = PLAIN; key <= HOOK; key++) {
		const uint64_t from = atomic_load(&epochs[key].finished), to = atomic_load(&epochs[key].begun);
		const bool made = answers[key] == expected(key, to, 4);
		if (from != to && key != VISITOR && key != HANDLER)
			is_made[made] = true;
		atomic_store(made ? &epochs[key].finished : &epochs[key].begun, made ? to : from);
	}
	if (is_made[false] && is_made[true])
		fail("WRONG: half a batch was made");
}

/* A child has only this thread: no update is half made, and the lock is free. */
__attribute__((noreturn)) static void in_child(void)
{
	here = "a child";
	alarm(CHILD_STUCK_AFTER);
	struct static_call_change changes[UPDATERS_KEYS];
	settle();
	call_all(0);
	for (int i = 0; i < UPDATERS_KEYS; i++)
		update_one(updaters_keys[i], i % 2 == 0);
	call_all(1);
	for (int i = 0; i < UPDATERS_KEYS; i++)
		changes[i] = next(updaters_keys[i], i % 2 != 0);
	MUST(static_call_update_batch(changes, UPDATERS_KEYS) == 0);
	for (int i = 0; i < UPDATERS_KEYS; i++)
		finish(updaters_keys[i]);
	call_all(2);
	update_visitor(visitor_targets);
	call_all(3);
	_exit(0);
}

static void wait_for_child(pid_t child, const char *what)
{
	int status;
	MUST(waitpid(child, &status, 0) == child);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		fail("%s hung", what);
	if (WIFSIGNALED(status))
		fail("%s died by signal %d", what, WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		fail("%s failed with status %d", what, WEXITSTATUS(status));
}

static void fork_step(int thread)
{
	static unsigned step;
	char program[] = "/bin/true", *arguments[] = { program, NULL };
	if (step % 8 == 3) {
		pid_t child;
		doing(thread, "in posix_spawn");
		MUST(posix_spawn(&child, program, NULL, NULL, arguments, environ) == 0);
		wait_for_child(child, "a spawned program");
	} else if (step % 8 == 7) {
		/* The child runs in this process's memory, as one more of its threads. */
		static volatile uint64_t from, seen, to;
		static volatile bool is_shared;
		doing(thread, "in vfork");
		const pid_t child = vfork();
		if (child == 0) {
			from = atomic_load(&epochs[PLAIN].finished);
			seen = static_call(plain_key, 7);
			to = atomic_load(&epochs[PLAIN].begun);
			is_shared = true;
			execve(program, arguments, environ);
			_exit(127);
		}
		MUST(child > 0);
		/* An emulator makes a fork of it (tests/src/platform.rs sets the variable). */
		MUST(is_shared || getenv("QEMU_ONE_INSN_PER_TB"));
		if (is_shared)
			check(PLAIN, "a call after vfork", 7, seen, from, to);
		wait_for_child(child, "a program after vfork");
	} else {
		doing(thread, "in fork");
		const pid_t child = fork();
		if (child == 0)
			in_child();
		MUST(child > 0);
		doing(thread, "waiting for a child");
		wait_for_child(child, "a child");
	}
	step++;
	atomic_fetch_add(&forks, 1);
	doing(thread, "sleeping");
	pause_for(500);
}

/* Calls, and updates a key that only handlers update, one at a time. */
static void handler(int signal)
{
	static atomic_flag is_updating = ATOMIC_FLAG_INIT;
	const int before = errno;
	(void)signal;
	atomic_fetch_add(&calls, call_all(5));
	if (!atomic_flag_test_and_set(&is_updating)) {
		const uint64_t epoch = atomic_load(&epochs[HANDLER].finished) + 1;
		atomic_store(&epochs[HANDLER].begun, epoch);
		const int result = static_call_update(handler_key, handler_targets[epoch % TARGETS]);
		if (result == 0)
			finish(HANDLER);
		else if (result == -EBUSY)
			atomic_fetch_add(&busy, 1);
		else
			fail("an update in a signal handler gave %d", result);
		/* Nobody else updates meanwhile: it was made, or nothing has changed. */
		const uint64_t now = atomic_load(&epochs[HANDLER].finished);
		check(HANDLER, "a handler's call", 6, static_call(handler_key, 6), now, now);
		atomic_flag_clear(&is_updating);
	}
	atomic_fetch_add(&signals, 1);
	if (errno != before)
		fail("a signal handler's calls and updates changed errno");
}

/* Half an instruction, or one that leads nowhere. */
static void crashed(int signal, siginfo_t *info, void *context)
{
	const mcontext_t *registers = &((ucontext_t *)context)->uc_mcontext;
#if defined(__x86_64__)
	const unsigned long long at = registers->gregs[REG_RIP];
#elif defined(__i386__)
	const unsigned long long at = (unsigned)registers->gregs[REG_EIP];
#elif defined(__aarch64__)
	const unsigned long long at = registers->pc;
#elif defined(__arm__)
	const unsigned long long at = registers->arm_pc;
#elif defined(__s390x__)
	const unsigned long long at = registers->psw.addr;
#elif defined(__loongarch__)
	const unsigned long long at = registers->__pc;
#elif defined(__powerpc64__)
	const unsigned long long at = registers->gp_regs[32]; /* PT_NIP */
#elif defined(__riscv)
	const unsigned long long at = registers->__gregs[REG_PC];
#else
	const unsigned long long at = ((void)registers, 0);
#endif
	fail("CRASHED by signal %d at instruction %#llx, address %p", signal, at, info->si_addr);
}

static void signal_step(int thread)
{
	static unsigned step;
	doing(thread, "raising a signal");
	/* Every other one interrupts the updater, the rest those that call. */
	const unsigned to = step % 2 ? (unsigned)UPDATER : step / 2 % READERS;
	step++;
	if (!atomic_load(&threads[to].is_over))
		MUST(pthread_kill(threads[to].id, SIGUSR1) == 0);
	pause_for(100);
}

static void *run(void *argument)
{
	static void (*const step[THREADS])(int thread) = {
		read_step, read_step, read_step, read_step, update_step, load_step, fork_step, signal_step,
	};
	const int thread = (struct thread *)argument - threads;
	here = threads[thread].name;
	doing(thread, "calling");
	do {
		step[thread](thread);
		atomic_fetch_add(&threads[thread].steps, 1);
	} while (!atomic_load(&stop));
	atomic_store(&threads[thread].is_over, true);
	return NULL;
}

/* ---- Main: the watchdog ------------------------------------------------------------------------- */

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Waits for the end, and then for the threads; fails if one of them stops making progress. */
static void watch(double seconds)
{
	const double start = now();
	double since[THREADS];
	unsigned long seen[THREADS] = { 0 };
	for (int i = 0; i < THREADS; i++)
		since[i] = start;
	for (bool all_over = false; !all_over; pause_for(10000)) {
		bool is_stuck = false;
		if (now() - start >= seconds)
			atomic_store(&stop, true);
		all_over = true;
		for (int i = 0; i < THREADS; i++) {
			const unsigned long steps = atomic_load(&threads[i].steps);
			const bool is_over = atomic_load(&threads[i].is_over);
			all_over &= is_over;
			if (steps != seen[i] || is_over) {
				seen[i] = steps;
				since[i] = now();
			}
			is_stuck |= now() - since[i] > STUCK_AFTER;
		}
		if (!is_stuck)
			continue;
		for (int i = 0; i < THREADS; i++)
			fprintf(stderr, "torture: %s: %s, %lu steps, the last one %.1f s ago\n", threads[i].name,
				atomic_load(&threads[i].doing), seen[i], now() - since[i]);
		fail("STUCK: no progress in %d s", STUCK_AFTER);
	}
}

int main(int argc, char **argv)
{
	if (argc != 4 || strcmp(argv[1], "--seconds") != 0)
		fail("usage: %s --seconds N PLUGIN", argv[0]);
	const double seconds = atof(argv[2]);
	plugin_path = argv[3];

	const struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	MUST(sigaction(SIGUSR1, &action, NULL) == 0);
	const struct sigaction crash = { .sa_sigaction = crashed, .sa_flags = SA_SIGINFO };
	MUST(sigaction(SIGSEGV, &crash, NULL) == 0 && sigaction(SIGBUS, &crash, NULL) == 0);
	MUST(sigaction(SIGILL, &crash, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i].id, NULL, run, &threads[i]) == 0);
	watch(seconds);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i].id, NULL) == 0);

	static const char *const modes[] = { "generic", "trampoline", "inline" };
	static const char *const writers[] = { "none", "window", "breakpoint" };
	printf("mode %s, writer %s, calls %lu, updates %lu, loads %lu, forks %lu, signals %lu, busy %lu, "
	       "none wrong or stale\n",
	       modes[static_call_mode()], writers[static_call_writer()], calls, updates, loads, forks, signals, busy);
	return 0;
}
