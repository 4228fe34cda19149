/* Shared by the programs that fork. */
#ifndef FORK_H
#define FORK_H

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* A child's exit status. */
__attribute__((unused)) static int status_of(pid_t child)
{
	int status;
	CHECK(child > 0);
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

/* Whether a write to this byte kills a process. */
__attribute__((unused)) static int faults(volatile char *byte)
{
	const pid_t child = fork();
	if (child == 0) {
		*byte = *byte;
		_exit(0);
	}
	const int status = status_of(child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

/* Whether a page can be zeroed in children: Linux supports this since 4.14, some emulators do not. Without
 * it, only the hooks of fork() release the lock. */
__attribute__((unused)) static int has_wiped_pages(void)
{
	volatile char *page = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || madvise((void *)page, 1 << 16, 18 /* MADV_WIPEONFORK */) != 0)
		return 0;
	*page = 1;
	const pid_t child = fork();
	if (child == 0)
		_exit(*page == 0);
	const int status = status_of(child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

/* Since glibc 2.34. */
extern pid_t _Fork(void) __attribute__((weak));

/* Forks without the C library's help. */
__attribute__((unused)) static pid_t raw_clone(void)
{
#ifdef __s390x__
	return syscall(SYS_clone, 0, SIGCHLD, 0, 0, 0);
#else
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#endif
}

#endif
