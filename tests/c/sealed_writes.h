/* Shared by sealed_writes.c and its plugin. */
#include <static_call.h>

int host_default(int a);
DECLARE_STATIC_CALL(host_key, host_default);

/* The image descriptor of the pass and the runtime (`Image` in runtime/abi). */
struct image {
	unsigned version, state;
	int *sites, *sites_end;
	struct record *records, *records_end;
	struct static_call_key *keys, *keys_end;
	int *branches, *branches_end;
	char *end;
	const void *header;
	struct image *next;
	unsigned long text, text_end, window, window_end;
	unsigned text_flags, reason;
};

struct record {
	struct static_call_key *key;
	struct record *next;
	int *sites;
	unsigned count;
	int trampoline;
	char saved[8];
};

/* The linker gives it this name, too. */
extern struct image image __asm__("image_descriptor") __attribute__((visibility("hidden")));
