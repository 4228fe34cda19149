/* The time from exec to main, with page faults and memory. `cargo xtask bench` runs it.
 *
 *     start ROUNDS PROGRAM...    starts the programs in turns, in reverse in every other round
 *
 * Each program prints the time at which its main began (CLOCK_MONOTONIC, nanoseconds), the processor time
 * used by then, and its resident and private dirty memory in bytes. Then it ends. With an argument, the
 * first program prints its mode before that. Prints lines with the program's number, what was measured, and
 * nanoseconds, a number of page faults (only those that read no file), or bytes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Starts it once. If `asked`, an argument makes it print its mode, if it has one. */
static void start(int number, char *program, int asked)
{
	char *arguments[] = { program, asked ? "mode" : NULL, NULL };
	char text[128] = "";
	posix_spawn_file_actions_t actions;
	struct timespec time;
	struct rusage usage;
	long long began, used;
	long memory, own;
	int ends[2], status, mode;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		fail("pipe2");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	clock_gettime(CLOCK_MONOTONIC, &time);
	if (posix_spawn(&child, program, &actions, NULL, arguments, environ))
		fail(program);
	close(ends[1]);
	if (wait4(child, &status, 0, &usage) != child || !WIFEXITED(status) || WEXITSTATUS(status))
		fail(program);
	if (read(ends[0], text, sizeof text - 1) <= 0)
		fail("read");
	close(ends[0]);
	posix_spawn_file_actions_destroy(&actions);
	switch (sscanf(text, "%lld %lld %ld %ld %d", &began, &used, &memory, &own, &mode)) {
	case 5: printf("process/mode %d\n", mode); break;
	case 4: break;
	default: fail(program);
	}
	if (asked)
		return;
	printf("%d/elapsed %lld\n", number, began - 1000000000ll * time.tv_sec - time.tv_nsec);
	printf("%d/used %lld\n", number, used);
	printf("%d/faults %ld\n%d/memory %ld\n%d/own %ld\n", number, usage.ru_minflt, number, memory, number,
	       own);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 0;

	/* The program without static calls has no mode. */
	if (argc > 2)
		start(0, argv[2], 1);
	for (int round = 0; round < rounds; round++)
		for (int turn = 0; turn < argc - 2; turn++) {
			int program = round % 2 ? argc - 3 - turn : turn;

			start(program, argv[program + 2], 0);
		}
	return 0;
}
