/* Ways to lose the right to write code, by name. All are permanent, and children inherit them. To be
 * included before anything else. */
#ifndef RESTRICT_H
#define RESTRICT_H

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int install_filter(struct sock_filter *filter, unsigned short len)
{
	struct sock_fprog program = { len, filter };
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* mprotect(..., PROT_EXEC) fails with EACCES. */
static inline int forbid_executable_memory(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	return install_filter(filter, sizeof filter / sizeof *filter);
}

/* membarrier fails with EPERM. */
static inline int forbid_membarrier(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	return install_filter(filter, sizeof filter / sizeof *filter);
}

/* PR_SET_MDWE with PR_MDWE_REFUSE_EXEC_GAIN; Linux 6.3. */
static inline int deny_write_execute(void) { return prctl(65, 1, 0, 0, 0); }

/* Mounts an empty file system over /proc for this process alone, as root or in a user namespace. */
static inline int hide_proc(void)
{
	if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return -1;
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	       mount("none", "/proc", "tmpfs", 0, NULL) || open("/proc/self/mem", O_RDWR) >= 0;
}

/* mseal(2) of the program's code; Linux 6.10. */
static inline int seal_text(void)
{
	extern const ElfW(Ehdr) __ehdr_start;
	const uintptr_t base = __ehdr_start.e_type == ET_DYN ? (uintptr_t)&__ehdr_start : 0;
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const ElfW(Phdr) *segment = (const void *)((uintptr_t)&__ehdr_start + __ehdr_start.e_phoff);
	for (int i = 0; i < __ehdr_start.e_phnum; i++, segment++)
		if (segment->p_type == PT_LOAD && segment->p_flags & PF_X) {
			uintptr_t start = (base + segment->p_vaddr) & -page;
			uintptr_t end = (base + segment->p_vaddr + segment->p_memsz + page - 1) & -page;
			return (int)syscall(462, start, end - start, 0UL);
		}
	return -1;
}

/* Returns 0, or something else if this kernel lacks it. */
static inline int give_up(const char *right)
{
	if (!strcmp(right, "seccomp"))
		return forbid_executable_memory();
	if (!strcmp(right, "seccomp-noproc"))
		return hide_proc() || forbid_executable_memory();
	if (!strcmp(right, "mdwe"))
		return deny_write_execute();
	if (!strcmp(right, "mdwe-noproc"))
		return hide_proc() || deny_write_execute();
	if (!strcmp(right, "mseal"))
		return seal_text();
	if (!strcmp(right, "membarrier"))
		return forbid_membarrier();
	return strcmp(right, "nothing");
}

#endif
