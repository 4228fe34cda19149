/* Shows a test every system call of the library, which makes them all through syscall(3). The linker
 * prefers this definition to the C library's. Include this before anything else, and link with -ldl. */
#ifndef SYSCALLS_H
#define SYSCALLS_H

#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

/* membarrier(2)'s commands */
#define PRIVATE_EXPEDITED_SYNC_CORE (1 << 5)
#define REGISTER_PRIVATE_EXPEDITED_SYNC_CORE (1 << 6)

/* Defined by the test: sees each call first, and returns 0 or the error with which the call must fail. */
static int before_syscall(long number, const long arguments[6]);

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long arguments[6];
	va_list list;
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	const int error = before_syscall(number, arguments);
	if (error) {
		errno = error;
		return -1;
	}
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
		    arguments[5]);
}

#endif
