// A program with each kind of call that the inspector's page shows. It waits until its standard input ends.

#include <static_branch.h>
#include <static_call.h>
#include <stdio.h>

namespace transport::retransmission {
static long double_and_carry_over(long value, const char *reason) { return reason ? 2 * value : value; }
static long leave_as_it_was(long value, const char *) { return value; }
DEFINE_STATIC_CALL(round_trip_time_estimator, leave_as_it_was);
} // namespace transport::retransmission

static void count(int) {}
static DEFINE_STATIC_CALL_NULL(on_packet, count);
static DEFINE_STATIC_KEY_FALSE(trace);

static int plain(int value) { return value; }
static struct static_call_key operations[] = {
	STATIC_CALL_INIT(plain),
	STATIC_CALL_INIT(plain),
};

__attribute__((noinline)) static long packet(long number)
{
	if (static_branch_unlikely(&trace))
		puts("a packet");
	static_call_cond(on_packet, (int)number);
	number += static_call_at(plain, &operations[number & 1], (int)number);
	return static_call(transport::retransmission::round_trip_time_estimator, number, "lost");
}

int main()
{
	long sum = packet(1);

	if (static_call_update(transport::retransmission::round_trip_time_estimator,
			       transport::retransmission::double_and_carry_over))
		return 1;
	puts("ready");
	fflush(stdout);
	for (int byte; (byte = getchar()) != EOF;)
		sum += packet(byte);
	return sum < 0;
}
