/* A call ends with its page. First the next page is unmapped, then the call's own page becomes unreadable.
 * The library reads neither: an update succeeds, or says what is missing. */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "check.h"

static int one(int a) { return a + 1; }
static int two(int a) { return a + 2; }
DEFINE_STATIC_CALL(key, one);

int caller(int a);
int behind(int a);
/* Enough no-ops to make the call (`67 e8`, six bytes) the page's last instruction at -O2, which `main`
 * checks. */
__attribute__((section(".text.page"), noinline, aligned(4096))) int caller(int a)
{
	__asm__ volatile("jmp 1f\n\t.skip 4084, 0x90\n1:");
	return static_call(key, a) * 3;
}
__attribute__((section(".text.page_behind"), noinline, aligned(4096))) int behind(int a)
{
	__asm__ volatile(".skip 5000, 0x90");
	return a;
}

int main(void)
{
	char *page = (char *)((uintptr_t)caller & ~(uintptr_t)4095);
	const unsigned char *call = (unsigned char *)page + 4096 - 5;
	CHECK(call[-1] == 0x67 && call[0] == 0xe8);
	CHECK(munmap(page + 4096, 4096) == 0);
	CHECK(static_call_update(key, two) == 0 && static_call_query(key) == two);
	struct static_call_info info;
	static_call_process_info(&info);
	CHECK(info.sites == 1 && info.direct == (static_call_mode() == STATIC_CALL_MODE_INLINE));
	if (static_call_mode() != STATIC_CALL_MODE_INLINE)
		return 0;
	CHECK(mprotect(page, 4096, PROT_NONE) == 0);
	CHECK(static_call_update(key, one) == -EFAULT && static_call_query(key) == two);
	static_call_process_info(&info);
	CHECK(info.sites == 1 && info.direct == 0);
	CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
	CHECK(static_call_update(key, one) == 0 && static_call_query(key) == one);
	return 0;
}
