/* What the programs for Windows share: a key in a DLL, which the program and a plugin import. */
#ifndef PE_H
#define PE_H

#ifdef PE_DEFINES
#define PE_IMPORT __attribute__((dllexport))
#else
#define PE_IMPORT __attribute__((dllimport))
#endif

#include <static_call.h>

enum { TARGETS = 16 };
#define FOR_EACH_TARGET(X)                                                                          \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

/* Adds its number. */
typedef int (*target)(int);
PE_IMPORT extern const target targets[TARGETS];
PE_IMPORT int target0(int);
PE_IMPORT DECLARE_STATIC_CALL(shared, target0);

/* What the plugin exports. */
typedef int call_shared(int);

#endif
