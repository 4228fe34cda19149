/* Everything at once: threads call while others update, load and unload a plugin, fork in every way, raise
 * signals, allocate, start and end, update under a mutex that fork's handlers take, and stop all others, as a
 * garbage collector does, to update. At the end the process exits in the middle of calls and updates. A
 * result must not be older than the last update that had returned before the call began, and not newer than
 * the last one that had begun when the call ended.
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

#include "fork.h"
#include "torture.h"

enum { READERS = 4, UPDATER = READERS, ALLOCATOR, LOCKER, LOADER, FORKER, SIGNALLER, STOPPER, THREADS };
enum { STUCK_AFTER = 60, CHILD_STUCK_AFTER = 30 };

extern char **environ;

/* ---- Threads and their state ------------------------------------------------------------------- */

static struct thread {
	const char *name;
	pthread_t id;
	_Atomic(const char *) doing;
	atomic_ulong steps;
	atomic_bool is_stopped, is_over;
} threads[THREADS] = {
	{ .name = "reader 1" }, { .name = "reader 2" },  { .name = "reader 3" }, { .name = "reader 4" },
	{ .name = "updater" },  { .name = "allocator" }, { .name = "locker" },   { .name = "loader" },
	{ .name = "forker" },   { .name = "signaller" }, { .name = "stopper" },
};
static atomic_bool stop;
static atomic_ulong calls, updates, loads, forks, signals, busy;
static const char *plugin_path;
static _Thread_local const char *here = "main";
static _Thread_local struct thread *self;

/* Reports an error and ends the process. Any thread, signal handler or child may call this. */
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

/* ---- Keys and the record of their updates ------------------------------------------------------ */

DEFINE_TARGETS(plain_targets, PLAIN);
DEFINE_TARGETS(shared_targets, SHARED);
DEFINE_TARGETS(zero_targets, ZERO);
DEFINE_TARGETS(visitor_targets, VISITOR);
DEFINE_TARGETS(handler_targets, HANDLER);
DEFINE_TARGETS(locked_targets, LOCKED);
DEFINE_TARGETS(stopped_targets, STOPPED);
DEFINE_HOOKS(hooks);

EXPORT DEFINE_STATIC_CALL(plain_key, plain_targets0);
EXPORT DEFINE_STATIC_CALL_RET0(zero_key, answer);
EXPORT DEFINE_STATIC_CALL(visitor_key, visitor_targets0);
EXPORT DEFINE_STATIC_CALL_NULL(hook_key, put_answer);
EXPORT DEFINE_STATIC_KEY_FALSE(branch_key);
static DEFINE_STATIC_CALL(handler_key, handler_targets0);
static DEFINE_STATIC_CALL(locked_key, locked_targets0);
static DEFINE_STATIC_CALL(stopped_key, stopped_targets0);
static DEFINE_STATIC_CALL(child_key, plain_targets0);

/* This key's first call chooses another function for all later calls. */
static uint64_t choose(uint64_t argument);
static uint64_t chosen(uint64_t argument) { return argument + 1; }
static DEFINE_STATIC_CALL(lazy_key, choose);
static uint64_t choose(uint64_t argument)
{
	const int result = static_call_update(lazy_key, chosen);
	/* A signal handler may call it in the middle of an update. EAGAIN: see PATIENTLY. */
	if (result != 0 && result != -EBUSY && result != -EAGAIN)
		fail("an update in a target gave %d", result);
	return chosen(argument);
}

/* The numbers of one key's updates: the last that returned, and the last that began. */
struct epochs {
	atomic_ulong finished, begun;
};
static struct epochs epochs[KEYS];
static const char *const key_names[KEYS] = {
	[PLAIN] = "the program's key",
	[SHARED] = "the shared object's key",
	[ZERO] = "the RET0 key",
	[VISITOR] = "the key with targets in the plugin",
	[HANDLER] = "the signal handlers' key",
	[HOOK] = "the hook",
	[PLUGIN] = "the plugin's key",
	[LOCKED] = "the key under a mutex",
	[STOPPED] = "the key of a stopped world",
	[BRANCH] = "the branches' key",
};

/* A key's answer in an epoch. Two keys are off in every other one. */
static uint64_t expected(int key, uint64_t epoch, uint64_t argument)
{
	if ((key == ZERO || key == HOOK) && epoch % 2 == 0)
		return 0;
	return ANSWER(key, epoch % (key == BRANCH ? 2 : TARGETS), argument);
}

static void check(int key, const char *site, uint64_t argument, uint64_t seen, uint64_t from, uint64_t to)
{
	for (uint64_t epoch = from; epoch <= to && epoch < from + TARGETS; epoch++)
		if (seen == expected(key, epoch, argument))
			return;
	bool is_stale = false;
	for (uint64_t epoch = 0; epoch < TARGETS; epoch++)
		is_stale |= seen == expected(key, epoch, argument);
	fail("%s: %s of %s, called with %#" PRIx64 " between epochs %" PRIu64 " and %" PRIu64
	     ", gave %#" PRIx64,
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
NOINLINE static void tail_hook(uint64_t argument, uint64_t *out)
{
	static_call_cond(hook_key, argument, out);
}
/* With optimization, one conditional jump. */
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

NOINLINE static void lazy_hook(uint64_t argument, uint64_t *out)
{
	static_call_lazy(hook_key, argument, out);
}
NOINLINE static uint64_t unlikely(uint64_t argument)
{
	if (static_branch_unlikely(&branch_key))
		return ANSWER(BRANCH, 1, argument);
	return ANSWER(BRANCH, 0, argument);
}
NOINLINE static uint64_t likely(uint64_t argument)
{
	if (static_branch_likely(&branch_key))
		return ANSWER(BRANCH, 1, argument);
	return ANSWER(BRANCH, 0, argument);
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

/* Calls through every site that lives as long as the process, once each. Returns their number. */
static unsigned call_all(uint64_t a)
{
	uint64_t none = UINT64_MAX;
	/* Otherwise the optimizer would know which way the conditional calls go. */
	__asm__ volatile("" : "+r"(a), "+r"(none));
	if (conditional_plain(none) != 0 || conditional_zero(none) != 1 ||
	    hook_by(conditional_hook, none) != 0)
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
	CALL(HOOK, "a lazy call", a, hook_by(lazy_hook, a));
	CALL(BRANCH, "an unlikely branch", a, unlikely(a));
	CALL(BRANCH, "a likely branch", a, likely(a));
	CALL(BRANCH, "an inlined unlikely branch", a,
	     ANSWER(BRANCH, (uint64_t)static_branch_unlikely(&branch_key), a));
	CALL(BRANCH, "an inlined likely branch", a,
	     ANSWER(BRANCH, (uint64_t)static_branch_likely(&branch_key), a));
	CALL(VISITOR, "a call", a, static_call(visitor_key, a));
	CALL(VISITOR, "the shared object's call", a, shared_call_visitor(a));
	CALL(HANDLER, "a call", a, static_call(handler_key, a));
	CALL(HANDLER, "a tail call", a, tail_handler(a));
	CALL(LOCKED, "a call", a, static_call(locked_key, a));
	CALL(STOPPED, "a call", a, static_call(stopped_key, a));
	if (static_call(lazy_key, a) != a + 1)
		fail("WRONG: a call of the key that chooses gave another result");
	return 31;
}

/* Begins the key's next change. `far` takes a target in the shared object. */
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
	case BRANCH: return (struct static_call_change)STATIC_BRANCH_CHANGE(&branch_key, epoch % 2 != 0);
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
	if (key == BRANCH && atomic_load(&epochs[key].begun) % 2 == 1)
		result = PATIENTLY(static_branch_enable(&branch_key));
	else if (key == BRANCH)
		result = PATIENTLY(static_branch_disable(&branch_key));
	else if (change.__form == STATIC_CALL_FORM_ZERO)
		result = PATIENTLY(static_call_update_ret0_at(change.__key));
	else
		result = PATIENTLY(__static_call_update(change.__key, change.__target));
	if (result != 0)
		fail("an update of %s gave %d", key_names[key], result);
	finish(key);
}

static const int updaters_keys[] = { PLAIN, SHARED, ZERO, HOOK, BRANCH };
enum { UPDATERS_KEYS = 5 };

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
			changes[i] = next(updaters_keys[(first + i) % UPDATERS_KEYS],
					  random_below(&random, 3) == 0);
		const int result = PATIENTLY(static_call_update_batch(changes, count));
		if (result != 0)
			fail("a batch of %u changes gave %d", count, result);
		for (unsigned i = 0; i < count; i++)
			finish(updaters_keys[(first + i) % UPDATERS_KEYS]);
	} else {
		doing(thread, "updating one key");
		update_one(updaters_keys[random_below(&random, UPDATERS_KEYS)],
			   random_below(&random, 3) == 0);
	}
	if (random_below(&random, 8) == 0) {
		/* Lets calls also see a settled state, and other threads get the lock. */
		doing(thread, "sleeping");
		pause_for(random_below(&random, 200));
	}
}

/* Handlers interrupt the C library here while it holds its own locks, for which fork waits. */
static void allocate_step(int thread)
{
	void *blocks[64];
	doing(thread, "allocating");
	for (int i = 0; i < 64; i++)
		MUST(blocks[i] = malloc(2000 + i * 64));
	for (int i = 0; i < 64; i++)
		free(blocks[i]);
}

/* ---- A mutex that is held during updates, and that fork's handlers take --------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t at_thread_end;
static _Thread_local unsigned forks_of_thread;
static _Thread_local bool is_nested;

static void update_locked(void)
{
	MUST(pthread_mutex_lock(&mutex) == 0);
	const uint64_t epoch = atomic_load(&epochs[LOCKED].finished) + 1;
	atomic_store(&epochs[LOCKED].begun, epoch);
	MUST(PATIENTLY(static_call_update(locked_key, locked_targets[epoch % TARGETS])) == 0);
	finish(LOCKED);
	MUST(PATIENTLY(static_call_update(lazy_key, choose)) == 0);
	MUST(pthread_mutex_unlock(&mutex) == 0);
}

/* A thread still calls and updates while its own data are destroyed. */
static void end_thread(void *unused)
{
	(void)unused;
	call_all(7);
	update_locked();
}

static void *come_and_go(void *unused)
{
	(void)unused;
	here = "a short thread";
	MUST(pthread_setspecific(at_thread_end, &at_thread_end) == 0);
	return NULL;
}

static void lock_step(int thread)
{
	pthread_t short_threads[3];
	doing(thread, "updating under a mutex");
	update_locked();
	doing(thread, "waiting for short threads");
	for (int i = 0; i < 3; i++)
		MUST(pthread_create(&short_threads[i], NULL, come_and_go, NULL) == 0);
	for (int i = 0; i < 3; i++)
		MUST(pthread_join(short_threads[i], NULL) == 0);
	pause_for(200);
}

__attribute__((noreturn)) static void in_child(bool is_whole);
static void wait_for_child(pid_t child, const char *what);

static void before_fork(void)
{
	if (!is_nested && ++forks_of_thread % 8 == 0) {
		is_nested = true;
		const pid_t child = fork();
		if (child == 0)
			in_child(true);
		MUST(child > 0);
		wait_for_child(child, "a child of a handler of fork");
		is_nested = false;
	}
	MUST(pthread_mutex_lock(&mutex) == 0);
}

static void after_fork(void) { MUST(pthread_mutex_unlock(&mutex) == 0); }

/* Whether a child finds the lock free from its first instruction on; -1 before that is known. */
static int has_zeros = -1;

/* Called before the runtime's own. */
static void after_fork_in_child(void)
{
	after_fork();
	if (has_zeros == 1)
		MUST(raise(SIGUSR1) == 0);
}

/* Registered before the runtime's, too. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wprio-ctor-dtor"
#endif
__attribute__((constructor(100))) static void watch_forks(void)
{
	MUST(pthread_atfork(before_fork, after_fork, after_fork_in_child) == 0);
}

/* Waits until all threads have ended the calls that they were in. */
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
	MUST(PATIENTLY(static_call_update(visitor_key, targets[epoch % TARGETS])) == 0);
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
			MUST(PATIENTLY(update_own(i / 8)) == 0);
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

/* In a child no update is under way: each update that had begun is done or not done, and of a batch all
 * are done or none. */
static void settle(void)
{
	const uint64_t answers[KEYS] = {
		[PLAIN] = static_call(plain_key, 4),
		[SHARED] = static_call(shared_key, 4),
		[ZERO] = static_call(zero_key, 4),
		[VISITOR] = static_call(visitor_key, 4),
		[HANDLER] = static_call(handler_key, 4),
		[HOOK] = inlined_hook(4),
		[LOCKED] = static_call(locked_key, 4),
		[STOPPED] = static_call(stopped_key, 4),
		[BRANCH] = unlikely(4),
	};
	bool is_made[2] = { false, false };
	for (int key = PLAIN; key < KEYS; key++) {
		if (key == PLUGIN)
			continue;
		const uint64_t from = atomic_load(&epochs[key].finished),
			       to = atomic_load(&epochs[key].begun);
		const bool made = answers[key] == expected(key, to, 4);
		if (from != to && key != VISITOR && key != HANDLER && key != LOCKED && key != STOPPED)
			is_made[made] = true;
		atomic_store(made ? &epochs[key].finished : &epochs[key].begun, made ? to : from);
	}
	if (is_made[false] && is_made[true])
		fail("WRONG: half a batch was made");
}

/* A child has only this thread. No update is half done, at least after the child's first one, and the lock
 * is free. */
__attribute__((noreturn)) static void in_child(bool is_whole)
{
	here = "a child";
	alarm(CHILD_STUCK_AFTER);
	if (!is_whole) {
		call_all(8);
		MUST(PATIENTLY(static_call_update(child_key, plain_targets[1])) == 0);
	}
	struct static_call_change changes[UPDATERS_KEYS];
	settle();
	call_all(0);
	for (int i = 0; i < UPDATERS_KEYS; i++)
		update_one(updaters_keys[i], i % 2 == 0);
	call_all(1);
	for (int i = 0; i < UPDATERS_KEYS; i++)
		changes[i] = next(updaters_keys[i], i % 2 != 0);
	MUST(PATIENTLY(static_call_update_batch(changes, UPDATERS_KEYS)) == 0);
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
		/* The child runs in this process's memory, like another thread. */
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
		/* An emulator forks instead (tests/src/platform/mod.rs sets the variable). */
		MUST(is_shared || getenv("QEMU_ONE_INSN_PER_TB"));
		if (is_shared)
			check(PLAIN, "a call after vfork", 7, seen, from, to);
		wait_for_child(child, "a program after vfork");
	} else {
		if (has_zeros < 0)
			has_zeros = has_wiped_pages();
		/* Otherwise, until fork returns, a handler in the child would wait for a thread that the
		 * child does not have. */
		sigset_t handled, before;
		sigemptyset(&handled);
		sigaddset(&handled, SIGUSR1);
		MUST(pthread_sigmask(SIG_BLOCK, has_zeros ? NULL : &handled, &before) == 0);
		/* With aliases, only fork's hooks keep a child from following its parent. */
		const bool is_free = has_zeros && static_call_writer() != STATIC_CALL_WRITER_ALIAS;
		const int way = is_free ? step % 3 : 0;
		doing(thread, way == 0 ? "in fork" : way == 1 && _Fork ? "in _Fork" : "in clone");
		const pid_t child = way == 0 ? fork() : way == 1 && _Fork ? _Fork() : raw_clone();
		MUST(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
		if (child == 0)
			in_child(way == 0);
		MUST(child > 0);
		doing(thread, "waiting for a child");
		wait_for_child(child, "a child");
	}
	step++;
	atomic_fetch_add(&forks, 1);
	doing(thread, "sleeping");
	pause_for(500);
}

/* Calls, and updates a key that only handlers update, one handler at a time. */
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
		else if (result != -EAGAIN)
			fail("an update in a signal handler gave %d", result);
		/* No other thread updates meanwhile: either the update was made, or nothing has changed. */
		const uint64_t now = atomic_load(&epochs[HANDLER].finished);
		check(HANDLER, "a handler's call", 6, static_call(handler_key, 6), now, now);
		atomic_flag_clear(&is_updating);
	}
	atomic_fetch_add(&signals, 1);
	if (errno != before)
		fail("a signal handler's calls and updates changed errno");
}

/* A thread executed half an instruction, or one with a wrong destination. */
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
	/* Every other signal interrupts the updater; the others interrupt threads that call or allocate. */
	const unsigned others = step / 2 % (READERS + 1);
	const unsigned to = step % 2 ? (unsigned)UPDATER : others == READERS ? (unsigned)ALLOCATOR : others;
	step++;
	if (!atomic_load(&threads[to].is_over))
		MUST(pthread_kill(threads[to].id, SIGUSR1) == 0);
	pause_for(100);
}

/* ---- A stopped world, in which one thread updates ------------------------------------------------ */

static atomic_bool is_world_stopped;

static void stop_here(int signal)
{
	const int before = errno;
	(void)signal;
	atomic_store(&self->is_stopped, true);
	while (atomic_load(&is_world_stopped))
		pause_for(20);
	atomic_store(&self->is_stopped, false);
	errno = before;
}

static void stop_step(int thread)
{
	doing(thread, "waiting for the others to begin");
	for (int i = 0; i < FORKER; i++)
		while (!atomic_load(&threads[i].doing))
			pause_for(20);
	doing(thread, "stopping the world");
	atomic_store(&is_world_stopped, true);
	for (int i = 0; i < FORKER; i++)
		if (!atomic_load(&threads[i].is_over))
			MUST(pthread_kill(threads[i].id, SIGUSR2) == 0);
	for (int i = 0; i < FORKER; i++)
		while (!atomic_load(&threads[i].is_stopped) && !atomic_load(&threads[i].is_over))
			pause_for(20);

	doing(thread, "updating in a stopped world");
	const uint64_t epoch = atomic_load(&epochs[STOPPED].finished) + 1;
	atomic_store(&epochs[STOPPED].begun, epoch);
	MUST(PATIENTLY(static_call_update(stopped_key, stopped_targets[epoch % TARGETS])) == 0);
	finish(STOPPED);
	CALL(STOPPED, "the stopper's call", epoch, static_call(stopped_key, epoch));

	doing(thread, "letting the world go on");
	atomic_store(&is_world_stopped, false);
	for (int i = 0; i < FORKER; i++)
		while (atomic_load(&threads[i].is_stopped))
			pause_for(20);
	pause_for(2000);
}

static void *run(void *argument)
{
	static void (*const step[THREADS])(int thread) = {
		read_step, read_step, read_step, read_step,   update_step, allocate_step,
		lock_step, load_step, fork_step, signal_step, stop_step,
	};
	const int thread = (struct thread *)argument - threads;
	self = argument;
	here = self->name;
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

/* On a busy machine, the time may be over before a thread has run. */
static bool is_each_done(void)
{
	return atomic_load(&calls) && atomic_load(&updates) && atomic_load(&loads) && atomic_load(&forks) &&
	       atomic_load(&signals);
}

/* Waits for the end, and then for the threads. Fails if one of them makes no progress. */
static void watch(double seconds)
{
	const double start = now();
	double since[THREADS];
	unsigned long seen[THREADS] = { 0 };
	for (int i = 0; i < THREADS; i++)
		since[i] = start;
	for (bool all_over = false; !all_over; pause_for(10000)) {
		bool is_stuck = false;
		if (now() - start >= (is_each_done() ? seconds : seconds + STUCK_AFTER))
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
			fprintf(stderr, "torture: %s: %s, %lu steps, the last one %.1f s ago\n",
				threads[i].name, atomic_load(&threads[i].doing), seen[i], now() - since[i]);
		fail("STUCK: no progress in %d s", STUCK_AFTER);
	}
}

/* ---- The end: while threads call and update ------------------------------------------------------- */

static void *plugin_at_end;
static atomic_ulong updates_at_end;

static void *read_to_the_end(void *unused)
{
	(void)unused;
	for (;;)
		read_step(0);
}

static void *update_to_the_end(void *unused)
{
	(void)unused;
	for (;;) {
		update_step(UPDATER);
		atomic_fetch_add(&updates_at_end, 1);
	}
}

static void wait_for_updates_at_end(void)
{
	const unsigned long end = atomic_load(&updates_at_end) + 5;
	while (atomic_load(&updates_at_end) < end)
		pause_for(100);
}

/* Before the library's exit handler. */
static void unload_at_exit(void)
{
	MUST(dlclose(plugin_at_end) == 0);
	/* Of keys that the plugin called, too. */
	wait_for_updates_at_end();
}

/* After the library's exit handler, which the shared object's constructor registers. */
static void go_on_at_exit(void)
{
	if (!plugin_at_end)
		return;
	for (int i = 0; i < 50; i++) {
		update_locked();
		call_all(9);
	}
}

static void before_constructors(void) { MUST(atexit(go_on_at_exit) == 0); }
__attribute__((section(".preinit_array"), used)) static void (*const before_all)(void) = before_constructors;

__attribute__((noreturn)) static void end_in_the_middle(void)
{
	pthread_t thread;
	MUST(plugin_at_end = dlopen(plugin_path, RTLD_NOW | RTLD_LOCAL));
	MUST(atexit(unload_at_exit) == 0);
	MUST(pthread_create(&thread, NULL, read_to_the_end, NULL) == 0);
	MUST(pthread_create(&thread, NULL, update_to_the_end, NULL) == 0);
	wait_for_updates_at_end();
	exit(0);
}

/* First in some children, because each process has only one chance to end at a bad moment. */
static void end_in_children(void)
{
	for (int i = 0; i < 10; i++) {
		const pid_t child = fork();
		if (child == 0) {
			here = "a child that ends";
			alarm(CHILD_STUCK_AFTER);
			end_in_the_middle();
		}
		MUST(child > 0);
		wait_for_child(child, "a child that ends");
	}
}

int main(int argc, char **argv)
{
	if (argc != 4 || strcmp(argv[1], "--seconds") != 0)
		fail("usage: %s --seconds N PLUGIN", argv[0]);
	const double seconds = atof(argv[2]);
	plugin_path = argv[3];

	MUST(pthread_key_create(&at_thread_end, end_thread) == 0);
	const struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	MUST(sigaction(SIGUSR1, &action, NULL) == 0);
	const struct sigaction stop_world = { .sa_handler = stop_here, .sa_flags = SA_RESTART };
	MUST(sigaction(SIGUSR2, &stop_world, NULL) == 0);
	const struct sigaction crash = { .sa_sigaction = crashed, .sa_flags = SA_SIGINFO };
	MUST(sigaction(SIGSEGV, &crash, NULL) == 0 && sigaction(SIGBUS, &crash, NULL) == 0);
	MUST(sigaction(SIGILL, &crash, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_create(&threads[i].id, NULL, run, &threads[i]) == 0);
	watch(seconds);
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i].id, NULL) == 0);

	static const char *const modes[] = { "generic", "trampoline", "inline" };
	static const char *const writers[] = { "none", "window", "breakpoint", "custom", "alias" };
	printf("mode %s, writer %s, calls %lu, updates %lu, loads %lu, forks %lu, signals %lu, busy %lu, "
	       "none wrong or stale\n",
	       modes[static_call_mode()], writers[static_call_writer()], calls, updates, loads, forks,
	       signals, busy);
	fflush(stdout);
	end_in_children();
	end_in_the_middle();
}
