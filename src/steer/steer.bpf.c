// SPDX-License-Identifier: Apache-2.0
//
// Steering: sends a client's packets of a handed-off flow to the backend that owns the connection now.
//
//   client --> [tc ingress: this program] -- flow known --> neighbour `next_hop` on interface `ifindex`
//                                         -- otherwise  --> the front's own stack
//
// Runs at tc clsact ingress of the client-facing interface. The maps are pinned, and the tc filter holds the program,
// so both go on working when the front is gone. Only the destination MAC address and the TTL (hop limit) of a packet
// change: the backend owns the VIP too, and answers the client directly.
//
// struct flow_key is src/kernel/flow.ts; the other structures and the order of enum drop are src/steer/layout.ts.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2
#define AF_INET6 10

// 4096 backends are far beyond what one front serves; the arrays cost 16 bytes a CPU and 128 bytes each.
#define MAX_BACKENDS 4096
#define BACKEND_NAME_BYTES 128
#define NO_BACKEND 0xffffffff
// What fits a page with what the kernel puts around a test packet (bpf_test_init, net/bpf/test_run.c).
#define MOST_REVIEWS 64
// IPv6 extension headers that are followed before the transport header: real traffic has none or one.
#define MAX_EXTENSIONS 6

#define IP_FRAGMENT_OFFSET 0x1fff
#define ICMP4_UNREACHABLE 3
#define ICMP4_TIME_EXCEEDED 11
#define ICMP4_PARAMETER_PROBLEM 12
#define ICMP6_UNREACHABLE 1
#define ICMP6_PARAMETER_PROBLEM 4

struct flow_key {
	__u8 client[16];
	__u8 vip[16];
	__be16 client_port;
	__be16 vip_port;
};

struct flow {
	__u8 next_hop[16];
	__u32 ifindex;
	__u32 backend;
	__u64 handoff;
	__u64 created_ns;
	__u64 last_seen_ns;
	__u64 packets;
	__u64 bytes;
	// Sequence and acknowledgement number of the client's last packet: what a packet in the name of a backend that is
	// gone has to carry for the client to heed it (front/farewells.ts).
	__be32 client_sequence;
	__be32 client_acknowledged;
	// Sequence number of the SYN that began the connection, by which a late copy of it is known.
	__be32 client_initial;
	__u32 padding;
};

// One question of the front about a handoff, and its answer.
struct review {
	struct flow_key flow;
	// Out: whose the flow is, or NO_BACKEND where there is no entry of this handoff.
	__u32 backend;
	__u64 handoff;
	// In: an entry whose last packet came before this goes. Out: when its last packet came, 0 if the entry is gone.
	__u64 seen_ns;
};

struct counters {
	__u64 packets;
	__u64 bytes;
};

// Why a packet of a known flow was not sent on. What the kernel drops behind the redirect (no such neighbour, too large
// for the interface) it counts itself, at the interface.
enum drop {
	DROP_TTL, // the packet has been forwarded as often as it may be; going on would loop
	DROP_REASONS,
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	// Memory follows use: a million preallocated entries would cost 200 MB on a front that serves a hundred clients.
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1048576);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct counters);
} backends SEC(".maps");

// Which backend a number stands for, in the words of the front: a restarted front finds its numbers again.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, __u32);
	__type(value, char[BACKEND_NAME_BYTES]);
} backend_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DROP_REASONS);
	__type(key, __u32);
	__type(value, __u64);
} drops SEC(".maps");

static __always_inline void count_drop(__u32 reason)
{
	__u64 *count = bpf_map_lookup_elem(&drops, &reason);
	if (count)
		(*count)++;
}

static __always_inline void map_ipv4(__u8 target[16], __be32 address)
{
	__builtin_memset(target, 0, 10);
	target[10] = 0xff;
	target[11] = 0xff;
	__builtin_memcpy(target + 12, &address, 4);
}

static __always_inline void count(struct __sk_buff *skb, struct flow *flow)
{
	flow->last_seen_ns = bpf_ktime_get_ns();
	// Receive side scaling keeps a flow on one CPU, but a client that changes its path may move it.
	__sync_fetch_and_add(&flow->packets, 1);
	__sync_fetch_and_add(&flow->bytes, skb->len);

	__u32 backend = flow->backend;
	struct counters *totals = bpf_map_lookup_elem(&backends, &backend);
	if (totals) {
		totals->packets++;
		totals->bytes += skb->len;
	}
}

// The last step for an IPv4 packet whose flow is known.
static __always_inline int forward4(struct __sk_buff *skb, struct flow *flow, const struct iphdr *ip)
{
	if (ip->ttl <= 1) {
		count_drop(DROP_TTL);
		return TC_ACT_SHOT;
	}
	// RFC 1812 section 5.3.1; the checksum covers the TTL as the high byte of a 16-bit word.
	__u8 ttl = ip->ttl - 1;
	__be16 before = bpf_htons((__u16)(ip->ttl << 8 | ip->protocol));
	__be16 after = bpf_htons((__u16)(ttl << 8 | ip->protocol));
	bpf_l3_csum_replace(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, check), before, after, 2);
	bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, ttl), &ttl, 1, 0);

	count(skb, flow);
	struct bpf_redir_neigh hop = {.nh_family = AF_INET};
	__builtin_memcpy(&hop.ipv4_nh, flow->next_hop + 12, 4);
	return bpf_redirect_neigh(flow->ifindex, &hop, sizeof(hop), 0);
}

static __always_inline int forward6(struct __sk_buff *skb, struct flow *flow, const struct ipv6hdr *ip)
{
	if (ip->hop_limit <= 1) {
		count_drop(DROP_TTL);
		return TC_ACT_SHOT;
	}
	// No header checksum in IPv6, but a checksum that the interface computed over the packet covers the field.
	__u8 hop_limit = ip->hop_limit - 1;
	bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, hop_limit), &hop_limit, 1, BPF_F_RECOMPUTE_CSUM);

	count(skb, flow);
	struct bpf_redir_neigh hop = {.nh_family = AF_INET6};
	__builtin_memcpy(hop.ipv6_nh, flow->next_hop, 16);
	return bpf_redirect_neigh(flow->ifindex, &hop, sizeof(hop), 0);
}

// Finds the flow of a TCP packet whose addresses are in `key` already. A SYN begins a new connection, so it ends a
// known flow: otherwise it would reach the front while the handshake's last packet went to the old backend. The very SYN
// that began the flow's connection is a copy that the network made or held back; the backend knows what it is worth
// (RFC 9293 section 3.10.7.4, RFC 5961 section 4).
static __always_inline struct flow *tcp_flow(struct __sk_buff *skb, __u32 offset, struct flow_key *key)
{
	struct tcphdr tcp;
	if (bpf_skb_load_bytes(skb, offset, &tcp, sizeof(tcp)) < 0)
		return 0;
	key->client_port = tcp.source;
	key->vip_port = tcp.dest;
	struct flow *flow = bpf_map_lookup_elem(&flows, key);
	if (!flow)
		return 0;
	if (tcp.syn && !tcp.ack && tcp.seq != flow->client_initial) {
		bpf_map_delete_elem(&flows, key);
		return 0;
	}
	if (tcp.ack) {
		flow->client_sequence = tcp.seq;
		flow->client_acknowledged = tcp.ack_seq;
	}
	return flow;
}

// Finds the flow that an ICMP error is about. The error quotes the offending packet, which went from the VIP to the
// client: source and destination are swapped against the flow. Eight bytes of TCP, the ports among them, are always
// quoted (RFC 792, RFC 4443 section 3).
static __always_inline struct flow *quoted_flow(struct __sk_buff *skb, __u32 offset, struct flow_key *key)
{
	__be16 ports[2];
	if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)) < 0)
		return 0;
	key->vip_port = ports[0];
	key->client_port = ports[1];
	return bpf_map_lookup_elem(&flows, key);
}

static __always_inline struct flow *icmp4_flow(struct __sk_buff *skb, __u32 offset, __be32 vip, struct flow_key *key)
{
	__u8 type;
	if (bpf_skb_load_bytes(skb, offset, &type, 1) < 0)
		return 0;
	if (type != ICMP4_UNREACHABLE && type != ICMP4_TIME_EXCEEDED && type != ICMP4_PARAMETER_PROBLEM)
		return 0;
	struct iphdr quoted;
	offset += 8;
	if (bpf_skb_load_bytes(skb, offset, &quoted, sizeof(quoted)) < 0)
		return 0;
	// Only what the VIP itself has sent: an error that quotes somebody else's packet is not about this flow.
	if (quoted.protocol != IPPROTO_TCP || quoted.saddr != vip || quoted.ihl < 5)
		return 0;
	map_ipv4(key->client, quoted.daddr);
	map_ipv4(key->vip, quoted.saddr);
	return quoted_flow(skb, offset + quoted.ihl * 4, key);
}

static __always_inline int steer4(struct __sk_buff *skb)
{
	struct iphdr ip;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) < 0 || ip.ihl < 5)
		return TC_ACT_OK;
	// A later fragment has no ports. Nothing of it can be matched, and the front's stack drops it when the rest never
	// comes; no RST is sent for it.
	if (ip.frag_off & bpf_htons(IP_FRAGMENT_OFFSET))
		return TC_ACT_OK;

	__u32 transport = ETH_HLEN + ip.ihl * 4;
	struct flow_key key = {};
	struct flow *flow;
	if (ip.protocol == IPPROTO_TCP) {
		map_ipv4(key.client, ip.saddr);
		map_ipv4(key.vip, ip.daddr);
		flow = tcp_flow(skb, transport, &key);
	} else if (ip.protocol == IPPROTO_ICMP) {
		flow = icmp4_flow(skb, transport, ip.daddr, &key);
	} else {
		return TC_ACT_OK;
	}
	return flow ? forward4(skb, flow, &ip) : TC_ACT_OK;
}

// Walks over extension headers: returns the transport protocol and moves `offset` to it, or -1. A first fragment has the
// ports and is steered; the later ones go up and are dropped when the first never comes, like those of IPv4. If all went
// up, the stack would put them together and answer with RST.
static __always_inline int skip_extensions(struct __sk_buff *skb, __u8 protocol, __u32 *offset)
{
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		if (protocol != IPPROTO_HOPOPTS && protocol != IPPROTO_ROUTING && protocol != IPPROTO_DSTOPTS &&
		    protocol != IPPROTO_FRAGMENT)
			return protocol;
		__u8 header[4];
		if (bpf_skb_load_bytes(skb, *offset, header, sizeof(header)) < 0)
			return -1;
		// RFC 8200 section 4.5: the offset is in the upper 13 bits; the second byte, a length elsewhere, is 0.
		if (protocol == IPPROTO_FRAGMENT && (header[2] || header[3] & 0xf8))
			return -1;
		protocol = header[0];
		// In units of 8 bytes, not counting the first 8 (RFC 8200 section 4.3).
		*offset += (header[1] + 1) * 8;
	}
	return -1;
}

static __always_inline int same_address(const struct in6_addr *a, const struct in6_addr *b)
{
	return a->s6_addr32[0] == b->s6_addr32[0] && a->s6_addr32[1] == b->s6_addr32[1] &&
	       a->s6_addr32[2] == b->s6_addr32[2] && a->s6_addr32[3] == b->s6_addr32[3];
}

static __always_inline struct flow *icmp6_flow(struct __sk_buff *skb, __u32 offset, const struct in6_addr *vip,
					       struct flow_key *key)
{
	__u8 type;
	if (bpf_skb_load_bytes(skb, offset, &type, 1) < 0)
		return 0;
	if (type < ICMP6_UNREACHABLE || type > ICMP6_PARAMETER_PROBLEM)
		return 0;
	struct ipv6hdr quoted;
	offset += 8;
	if (bpf_skb_load_bytes(skb, offset, &quoted, sizeof(quoted)) < 0)
		return 0;
	if (quoted.nexthdr != IPPROTO_TCP || !same_address(&quoted.saddr, vip))
		return 0;
	__builtin_memcpy(key->client, &quoted.daddr, 16);
	__builtin_memcpy(key->vip, &quoted.saddr, 16);
	return quoted_flow(skb, offset + sizeof(quoted), key);
}

static __always_inline int steer6(struct __sk_buff *skb)
{
	struct ipv6hdr ip;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) < 0)
		return TC_ACT_OK;

	__u32 transport = ETH_HLEN + sizeof(ip);
	int protocol = skip_extensions(skb, ip.nexthdr, &transport);
	struct flow_key key = {};
	struct flow *flow;
	if (protocol == IPPROTO_TCP) {
		__builtin_memcpy(key.client, &ip.saddr, 16);
		__builtin_memcpy(key.vip, &ip.daddr, 16);
		flow = tcp_flow(skb, transport, &key);
	} else if (protocol == IPPROTO_ICMPV6) {
		flow = icmp6_flow(skb, transport, &ip.daddr, &key);
	} else {
		return TC_ACT_OK;
	}
	return flow ? forward6(skb, flow, &ip) : TC_ACT_OK;
}

SEC("tc")
int baton_steer(struct __sk_buff *skb)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return steer4(skb);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return steer6(skb);
	return TC_ACT_OK;
}

static __always_inline void answer(struct review *asked)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, &asked->flow);
	__u64 limit = asked->seen_ns;
	asked->backend = NO_BACKEND;
	asked->seen_ns = 0;
	if (!flow || flow->handoff != asked->handoff)
		return;
	asked->backend = flow->backend;
	// A packet that comes in this very moment finds no entry: the linger has to be longer than any pause of a live client.
	if (flow->last_seen_ns < limit)
		bpf_map_delete_elem(&flows, &asked->flow);
	else
		asked->seen_ns = flow->last_seen_ns;
}

// Not attached anywhere: the front runs it by hand on a packet that holds reviews (BPF_PROG_TEST_RUN), because the system
// calls for each of them, one to look and one to delete, cost more than all else that is done about a connection's end.
SEC("tc")
int baton_review(struct __sk_buff *skb)
{
	struct review asked;
	__u32 offset = ETH_HLEN;
	for (int i = 0; i < MOST_REVIEWS; i++) {
		if (bpf_skb_load_bytes(skb, offset, &asked, sizeof(asked)) < 0)
			break;
		answer(&asked);
		bpf_skb_store_bytes(skb, offset, &asked, sizeof(asked), 0);
		offset += sizeof(asked);
	}
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Apache-2.0";
