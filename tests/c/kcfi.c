/* Types of functions, which calls check under -fsanitize=kcfi: a static call once for each update. */
#include "check.h"
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int add(int a, int b) { return a + b; }
static int subtract(int a, int b) { return a - b; }
static long negate(long a) { return -a; }
static int called;
static void count(int a) { called += a; }

/* Assembler has a type if it says so, and otherwise none. (Two no-ops are what
 * -fpatchable-function-entry=2,2 puts behind a type.) */
#ifdef __aarch64__
#define TYPE ".long "
#define CODE "mul w0, w0, w1\n\tret\n"
#else
#define TYPE ".byte 0xb8\n\t.long "
#define CODE "movl %edi, %eax\n\timull %esi, %eax\n\tret\n"
#endif
#ifdef WITH_NO_OPS
#define NO_OPS "nop\n\tnop\n\t"
#else
#define NO_OPS ""
#endif
#define ASSEMBLER(name, type)                                                             \
	__asm__(".text\n\t.p2align 4\n\t" type NO_OPS ".globl " #name "\n\t.type " #name \
		", %function\n" #name ":\n\t" CODE "\t.size " #name ", . - " #name)
int typed(int, int);
int untyped(int, int);
ASSEMBLER(typed, TYPE "__kcfi_typeid_typed\n\t");
ASSEMBLER(untyped, "");

DEFINE_STATIC_CALL(key, add);
static DEFINE_STATIC_CALL(local, subtract);
DEFINE_STATIC_CALL_NULL(hook, count);
DEFINE_STATIC_CALL_COND(cond, count);
DEFINE_STATIC_CALL_RET0(zero, add);
/* Defined with one type, and called with another. */
DEFINE_STATIC_CALL(mistaken, negate);

typedef int binary(int, int);

__attribute__((noinline)) int call_key(int a, int b) { return static_call(key, a, b) + 1; }
__attribute__((noinline)) int jump_to_key(int a, int b) { return static_call(key, a, b); }
__attribute__((noinline)) int call_local(int a, int b) { return static_call(local, a, b) + 1; }
__attribute__((noinline)) void call_hook(int a) { static_call_cond(hook, a); }
__attribute__((noinline)) void call_cond(int a)
{
	static_call_cond(cond, a);
	static_call_cond(cond, a);
}
__attribute__((noinline)) int call_zero(int a, int b) { return static_call(zero, a, b) + 1; }
__attribute__((noinline)) int call_mistaken(int a, int b)
{
	return static_call_at(binary, &STATIC_CALL_KEY(mistaken), a, b) + 1;
}
/* Whoever does not want to be checked has a trampoline without a check. So has the program's other file. */
__attribute__((noinline, no_sanitize("kcfi"))) int call_unchecked(int a, int b)
{
	return static_call(key, a, b) + 2;
}

int call_elsewhere(int a, int b);

static binary *as_binary(void *function) { return (binary *)function; }

static void keys_go_on(int a, int b, int key_result, int local_result)
{
	CHECK(call_key(a, b) == key_result + 1);
	CHECK(jump_to_key(a, b) == key_result);
	CHECK(call_unchecked(a, b) == key_result + 2);
	CHECK(call_elsewhere(a, b) == key_result + 3);
	CHECK(call_local(a, b) == local_result + 1);
}

static void refuses(binary *function)
{
	CHECK(static_call_update(key, function) == -EPROTOTYPE);
	CHECK(static_call_query(key) == subtract);
	keys_go_on(7, 3, 4, 4);
	struct static_call_change changes[] = { STATIC_CALL_CHANGE(local, add),
						STATIC_CALL_CHANGE(key, function) };
	CHECK(static_call_update_batch(changes, 2) == -EPROTOTYPE);
	CHECK(static_call_query(local) == subtract);
	keys_go_on(7, 3, 4, 4);
}

/* Code without anything before it. */
static binary *at_start_of_a_page(void)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *const pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED);
	memcpy(pages + page, (const void *)untyped, 16);
	CHECK(mprotect(pages + page, page, PROT_READ | PROT_EXEC) == 0);
	CHECK(mprotect(pages, page, PROT_NONE) == 0);
	return as_binary(pages + page);
}

/* The signal that ends a child which makes this call, or 0. */
static int ends_with(int (*call)(int, int))
{
	int status;

	fflush(stdout);
	const pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		call(1, 1);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

int main(void)
{
	keys_go_on(7, 3, 10, 4);
	CHECK(static_call_update(key, subtract) == 0);
	keys_go_on(7, 3, 4, 4);

	refuses(as_binary((void *)negate));
	refuses(as_binary((void *)count));
	refuses(untyped);
	refuses(at_start_of_a_page());
	CHECK(static_call_update(key, typed) == 0);
	keys_go_on(7, 3, 21, 4);

	call_hook(1);
	CHECK(called == 0 && static_call_query(hook) == NULL);
	CHECK(static_call_update(hook, count) == 0);
	call_hook(1);
	CHECK(called == 1);
	CHECK(static_call_update(hook, NULL) == 0);
	call_hook(1);
	CHECK(called == 1);
	call_cond(1);
	CHECK(called == 3);
	CHECK(static_call_update(cond, NULL) == 0);
	call_cond(1);
	CHECK(called == 3);
	CHECK(static_call_update(cond, count) == 0);
	call_cond(1);
	CHECK(called == 5);

	CHECK(call_zero(7, 3) == 1);
	CHECK(static_call_update(zero, add) == 0);
	CHECK(call_zero(7, 3) == 11);
	CHECK(static_call_update_ret0(zero) == 0);
	CHECK(call_zero(7, 3) == 1);

	/* Nobody has asked for this key's type so far. Its call is not direct, and does what the compiler's
	 * own check does. */
	CHECK(ends_with(call_zero) == 0);
	const int signal = ends_with(call_mistaken);
	CHECK(signal == SIGILL || signal == SIGTRAP);
	CHECK(static_call_update_at(negate, &STATIC_CALL_KEY(mistaken), negate) == -EPROTOTYPE);
	CHECK(static_call_update_at(binary, &STATIC_CALL_KEY(mistaken), add) == 0);
	CHECK(call_mistaken(7, 3) == 11);

	report();
	return 0;
}
