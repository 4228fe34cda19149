#include <static_call.h>

static int plain(int data) { return data + 1; }
static int fast(int data) { return data + 2; }

DEFINE_STATIC_CALL(decode, plain);

int codec_run(int data);
int codec_make_fast(void);
int codec_run(int data) { return static_call(decode, data); }
int codec_make_fast(void) { return static_call_update(decode, fast); }
