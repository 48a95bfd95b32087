// SPDX-License-Identifier: Apache-2.0
//
// A bad cable: drops, doubles and delays packets at random, in both directions of a switch port.
//
//   host --> [port ingress: impair] --> bridge                    counters[FROM_HOST]
//   host <-- [port egress: impair]  <-- bridge                    counters[TO_HOST]
//                  |          ^
//                  v          |
//             detour0 (tbf) -- detour1 [ingress: rejoin]
//
// A delayed packet takes the detour, where a token bucket lets one packet pass every SLOT_NS. An idle bucket would let it
// pass at once, so copies of the packet itself go before it and die at the detour's end. What left the port later gets
// ahead of it: that is the reordering. netem would do the same where a kernel has it.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// With the bucket of impairment.ts: 1,500 bytes at 24 Mbit/s.
#define SLOT_NS 500000
// A delay is up to 16 slots, 8 ms, and what was delayed shortly before comes on top.
#define MOST_FILLERS 15
// The bucket's queue holds 200 packets; a packet that would wait longer is not delayed.
#define MOST_BACKLOG_NS 20000000

// skb->mark on the detour: whose packet it is, in which direction, and that it has been impaired already.
#define MARK_DONE 0x80000000
#define MARK_FILLER 0x40000000
#define MARK_TO_HOST 0x20000000
#define MARK_PORT 0x0000ffff

enum direction { FROM_HOST, TO_HOST };

// Chances in units of 2^-32.
struct rates {
	__u32 drop;
	__u32 duplicate;
	__u32 delay;
	__u32 detour; // interface index of detour0
};

struct counters {
	__u64 seen;
	__u64 dropped;
	__u64 duplicated;
	__u64 delayed;
	__u64 rejoined; // copies and delayed packets that came back from the detour
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32); // interface index of the port
	__type(value, struct rates);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, __u32); // interface index of the port, and MARK_TO_HOST in that direction
	__type(value, struct counters);
} counts SEC(".maps");

// When the detour has nothing left to send. Two CPUs may both find it idle: then a packet waits longer.
static __u64 busy_until_ns;

static __always_inline int chosen(__u32 chance)
{
	return chance && bpf_get_prandom_u32() < chance;
}

// Occupies the detour in front of a packet; 0 where the packet would wait for too long.
static __always_inline int book_detour(struct __sk_buff *skb, const struct rates *rates)
{
	__u64 now = bpf_ktime_get_ns();
	if (busy_until_ns > now + MOST_BACKLOG_NS)
		return 0;
	__u32 fillers = 0;
	if (busy_until_ns < now) {
		fillers = 1 + bpf_get_prandom_u32() % MOST_FILLERS;
		busy_until_ns = now;
		skb->mark = MARK_FILLER;
		for (__u32 i = 0; i < MOST_FILLERS; i++)
			if (i < fillers)
				bpf_clone_redirect(skb, rates->detour, 0);
	}
	busy_until_ns += (fillers + 1) * SLOT_NS;
	return 1;
}

static __always_inline int impair(struct __sk_buff *skb, enum direction direction)
{
	__u32 port = skb->ifindex;
	__u32 key = direction == TO_HOST ? port | MARK_TO_HOST : port;
	struct rates *rates = bpf_map_lookup_elem(&ports, &port);
	struct counters *count = bpf_map_lookup_elem(&counts, &key);
	if (!rates || !count)
		return TC_ACT_OK;
	// Nothing here has a use for marks but this program.
	__u32 mark = skb->mark;
	skb->mark = 0;
	if (mark & MARK_DONE)
		return TC_ACT_OK;
	// Not ARP: without it a host is deaf for a second, and that is no fault of TCP.
	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
		return TC_ACT_OK;

	__sync_fetch_and_add(&count->seen, 1);
	if (chosen(rates->drop)) {
		__sync_fetch_and_add(&count->dropped, 1);
		return TC_ACT_SHOT;
	}
	__u32 done = MARK_DONE | key;
	if (chosen(rates->duplicate)) {
		// Half of the copies come right behind the packet, the others whenever the detour lets them.
		int late = (bpf_get_prandom_u32() & 1) && book_detour(skb, rates);
		__u32 to = late ? rates->detour : port;
		skb->mark = done;
		if (bpf_clone_redirect(skb, to, late || direction == TO_HOST ? 0 : BPF_F_INGRESS) == 0)
			__sync_fetch_and_add(&count->duplicated, 1);
	}
	if (chosen(rates->delay) && book_detour(skb, rates)) {
		__sync_fetch_and_add(&count->delayed, 1);
		skb->mark = done;
		return bpf_redirect(rates->detour, 0);
	}
	skb->mark = 0;
	return TC_ACT_OK;
}

SEC("tc")
int from_host(struct __sk_buff *skb)
{
	return impair(skb, FROM_HOST);
}

SEC("tc")
int to_host(struct __sk_buff *skb)
{
	return impair(skb, TO_HOST);
}

// At the end of the detour: a filler has done its work, everything else goes on from where it left the port.
SEC("tc")
int rejoin(struct __sk_buff *skb)
{
	if (!(skb->mark & MARK_DONE))
		return TC_ACT_SHOT;
	__u32 key = skb->mark & (MARK_TO_HOST | MARK_PORT);
	struct counters *count = bpf_map_lookup_elem(&counts, &key);
	if (count)
		__sync_fetch_and_add(&count->rejoined, 1);
	return bpf_redirect(skb->mark & MARK_PORT, skb->mark & MARK_TO_HOST ? 0 : BPF_F_INGRESS);
}

char LICENSE[] SEC("license") = "Apache-2.0";
