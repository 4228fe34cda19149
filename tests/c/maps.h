/* Reads /proc/self/maps. It uses no stdio, so the child of a process with threads may use it. */
#ifndef MAPS_H
#define MAPS_H

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

struct mapping {
	uintptr_t start, end;
	/* "rwxp", with "-" for missing rights */
	const char *access;
};

static const char *read_maps(void)
{
	static char maps[1 << 16];
	const int file = open("/proc/self/maps", O_RDONLY);
	size_t length = 0;
	for (ssize_t more; (more = read(file, maps + length, sizeof maps - 1 - length)) > 0; length += more)
		;
	CHECK(close(file) == 0 && length > 0 && length < sizeof maps - 1);
	maps[length] = 0;
	return maps;
}

/* Reads a line, and returns the next one. */
static const char *read_mapping(const char *line, struct mapping *mapping)
{
	char *end;
	mapping->start = strtoul(line, &end, 16);
	mapping->end = strtoul(end + 1, &end, 16);
	mapping->access = end + 1;
	return strchr(end, '\n') + 1;
}

/* Whether a page has these rights, "r-x" for example. */
__attribute__((unused)) static int has_access(const void *page, const char *access)
{
	struct mapping mapping;
	for (const char *line = read_maps(); *line;) {
		line = read_mapping(line, &mapping);
		if (mapping.start <= (uintptr_t)page && (uintptr_t)page < mapping.end)
			return !strncmp(mapping.access, access, 3);
	}
	return 0;
}

/* How many bytes are both writable and executable. */
__attribute__((unused)) static size_t writable_code(void)
{
	struct mapping mapping;
	size_t sum = 0;
	for (const char *line = read_maps(); *line;) {
		line = read_mapping(line, &mapping);
		if (mapping.access[1] == 'w' && mapping.access[2] == 'x')
			sum += mapping.end - mapping.start;
	}
	return sum;
}

#endif
