// Asks a plugin for its description, like the LLVM of the given major version, or like an LLVM without a
// function for its version. Prints the interface's version and how many bytes the plugin has written.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned major_version;

#ifdef HAS_VERSION
// The plugin looks it up in the program that loads it.
void LLVMGetVersion(unsigned *major, unsigned *minor, unsigned *patch)
{
	(void)minor, (void)patch;
	*major = major_version;
}
#endif

#ifdef HAS_STRINGS
// llvm::MachineFunctionPass::createPrinterPass, which takes a string of libstdc++, as the plugin wants.
void create_printer_pass(void) __asm__(
	"_ZNK4llvm19MachineFunctionPass17createPrinterPassERNS_11raw_ostreamERKNSt7__cxx1112"
	"basic_stringIcSt11char_traitsIcESaIcEEE");
void create_printer_pass(void) {}
#endif

int main(int count, char **arguments)
{
	if (count != 3)
		return 2;
	major_version = (unsigned)atoi(arguments[2]);
	void *plugin = dlopen(arguments[1], RTLD_NOW);
	if (!plugin) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	// A large structure is returned through a hidden first argument.
	void *(*get)(void *);
	*(void **)&get = dlsym(plugin, "llvmGetPassPluginInfo");
	unsigned char room[256];
	memset(room, 0xaa, sizeof room);
	if (get(room) != room)
		return 3;
	size_t written = sizeof room;
	while (written != 0 && room[written - 1] == 0xaa)
		--written;
	uint32_t version;
	memcpy(&version, room, sizeof version);
	printf("version %u, %zu bytes\n", (unsigned)version, written);
}
