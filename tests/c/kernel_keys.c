/* Static keys in code of a kernel module: between the two lines, everything that concerns keys is written as
 * the kernel writes it. Beside keys of a file there are keys in arrays and structs. */
#include "check.h"
#include <static_branch.h>

/* What else a module has from the kernel. */
#define __init
#define __exit
#define noinline __attribute__((noinline))
#define NFPROTO_NUMPROTO 4
#define EXPORT_SYMBOL_GPL(symbol) extern __typeof__(symbol) symbol
static int warnings;
#define pr_warn(...) (void)(warnings++)

/* ------------------------------------------------------------------------------------------------ */

DEFINE_STATIC_KEY_FALSE(netstamp_needed_key);
EXPORT_SYMBOL_GPL(netstamp_needed_key);
DECLARE_STATIC_KEY_FALSE(netstamp_needed_key);
static DEFINE_STATIC_KEY_TRUE_RO(checksums_key);
static DEFINE_STATIC_KEY_FALSE_RO(strict_key);
static DEFINE_STATIC_KEY_ARRAY_FALSE(hooks_needed, NFPROTO_NUMPROTO);
static DEFINE_STATIC_KEY_ARRAY_TRUE(hooks_checked, 2);
static struct static_key features[] = { STATIC_KEY_INIT_TRUE, STATIC_KEY_INIT_FALSE };

struct cache {
	int users;
	struct static_key_false is_traced;
	struct static_key_true is_fast;
};

static struct cache cache = {
	.users = 0,
	.is_traced = STATIC_KEY_FALSE_INIT,
	.is_fast = STATIC_KEY_TRUE_INIT,
};

struct sk_buff {
	unsigned long tstamp;
	unsigned int len;
};

static void net_enable_timestamp(void) { static_branch_inc(&netstamp_needed_key); }

static void net_disable_timestamp(void) { static_branch_dec(&netstamp_needed_key); }

static inline void net_timestamp_set(struct sk_buff *skb)
{
	skb->tstamp = 0;
	if (static_branch_unlikely(&netstamp_needed_key))
		skb->tstamp = 1234;
}

static noinline int nf_hook(struct sk_buff *skb, int pf)
{
	net_timestamp_set(skb);
	if (static_branch_likely(&checksums_key) && skb->len == 0) {
		pr_warn("empty packet\n");
		if (static_branch_unlikely(&strict_key))
			return -EINVAL;
	}
	switch (pf) {
	case 0: return static_branch_unlikely(&hooks_needed[0]) ? 10 : 0;
	case 1: return static_branch_unlikely(&hooks_needed[1]) ? 11 : 1;
	case 3:
		if (!static_branch_likely(&hooks_checked[1]))
			return 13;
		return static_key_enabled(&hooks_needed[3]) ? 3 + 4 : 3;
	}
	return static_key_enabled(&hooks_needed[pf]) ? 100 : 0;
}

static int cache_lookup(struct cache *c, int id)
{
	if (static_branch_unlikely(&cache.is_traced))
		c->users++;
	if (static_branch_likely(&cache.is_fast))
		return id;
	return id + 1000;
}

static int __init module_start(void)
{
	int i;

	for (i = 1; i < NFPROTO_NUMPROTO; i++)
		static_branch_inc(&hooks_needed[i]);
	static_branch_enable(&strict_key);
	if (!static_key_enabled(&features[1]))
		static_key_slow_inc(&features[1]);
	static_branch_enable(&cache.is_traced);
	static_branch_disable(&cache.is_fast);
	return 0;
}

static void __exit module_stop(void)
{
	int i;

	for (i = NFPROTO_NUMPROTO; i-- > 1;)
		static_branch_dec(&hooks_needed[i]);
	static_branch_disable(&strict_key);
	static_key_slow_dec(&features[1]);
	static_key_disable(&features[0]);
	static_key_enable(&features[0]);
	static_branch_disable(&cache.is_traced);
	static_branch_enable(&cache.is_fast);
}

/* ------------------------------------------------------------------------------------------------ */

static void check_stopped(void)
{
	struct sk_buff full = { 1, 1 }, empty = { 1, 0 };

	warnings = 0;
	CHECK(nf_hook(&full, 0) == 0 && nf_hook(&full, 1) == 1 && nf_hook(&full, 2) == 0);
	CHECK(nf_hook(&full, 3) == 3 && full.tstamp == 0);
	CHECK(nf_hook(&empty, 1) == 1 && warnings == 1);
	cache.users = 0;
	CHECK(cache_lookup(&cache, 5) == 5 && cache.users == 0);
	CHECK(static_key_enabled(&features[0]) && !static_key_enabled(&features[1]));
	CHECK(static_key_count(&checksums_key.key) == 1 && static_key_count(&netstamp_needed_key) == 0);
}

static void check_started(void)
{
	struct sk_buff full = { 1, 1 }, empty = { 1, 0 };

	warnings = 0;
	CHECK(nf_hook(&full, 0) == 0 && nf_hook(&full, 1) == 11 && nf_hook(&full, 2) == 100);
	CHECK(nf_hook(&full, 3) == 7 && nf_hook(&empty, 1) == -EINVAL && warnings == 1);
	cache.users = 0;
	CHECK(cache_lookup(&cache, 5) == 1005 && cache.users == 1);
	CHECK(static_key_count(&features[1]) == 1 && static_key_enabled(&cache.is_traced.key));
}

int main(void)
{
	struct sk_buff skb = { 1, 1 };

	check_stopped();
	CHECK(module_start() == 0);
	check_started();
	net_enable_timestamp();
	net_enable_timestamp();
	net_disable_timestamp();
	CHECK(nf_hook(&skb, 1) == 11 && skb.tstamp == 1234 && static_key_count(&netstamp_needed_key) == 1);
	net_disable_timestamp();
	CHECK(nf_hook(&skb, 1) == 11 && skb.tstamp == 0);
	CHECK(static_branch_disable(&hooks_checked[1]) == 0 && nf_hook(&skb, 3) == 13);
	CHECK(static_branch_enable(&hooks_checked[1]) == 0);
	module_stop();
	check_stopped();
	return 0;
}
