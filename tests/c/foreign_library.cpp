// The targets of foreign.cpp, in another image.
#include <stdexcept>
#include <string>

#include <unwind.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

static int offset = 5;

EXPORT int foreign(int a)
{
	if (a < 0)
		throw std::runtime_error(std::to_string(a));
	return a + offset;
}

static _Unwind_Reason_Code count(struct _Unwind_Context *context, void *frames)
{
	(void)context;
	++*static_cast<int *>(frames);
	return _URC_NO_REASON;
}

EXPORT int frames(int a)
{
	int found = 0;
	_Unwind_Backtrace(count, &found);
	return a + found;
}
