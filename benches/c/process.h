/* Prints how this process runs its static calls. The harness compares it with what it asked for. */
#pragma once

#include <stdio.h>

#include "static_call.h"

/* Prints the numbers of the mode and the writer, the reason for the mode, and how many sites exist and are
 * direct. */
static void print_process(void)
{
	struct static_call_info info;

	static_call_process_info(&info);
	printf("process/mode %d\n", static_call_mode());
	printf("process/because %s %d\n", static_call_mode_reason(), static_call_mode());
	printf("process/writer %d\n", static_call_writer());
	printf("process/sites %zu\nprocess/direct %zu\n", info.sites, info.direct);
}
