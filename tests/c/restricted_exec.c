/* Gives up a right and executes a program: restricted_exec seccomp|membarrier|mdwe PROGRAM. */
#include <stdio.h>

#include "restrict.h"

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	int refused = !strcmp(argv[1], "seccomp")      ? forbid_executable_memory()
		      : !strcmp(argv[1], "membarrier") ? forbid_membarrier()
						       : deny_write_execute();
	if (refused) {
		perror(argv[1]);
		return 77; /* this kernel does not have it */
	}
	execv(argv[2], argv + 2);
	perror(argv[2]);
	return 2;
}
