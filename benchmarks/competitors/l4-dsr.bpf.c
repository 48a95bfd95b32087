// SPDX-License-Identifier: Apache-2.0
//
// The least that anything can do that forwards clients' packets: a static hash over the client's port chooses the backend,
// which answers directly. No state, no routes, no health; IPv4 and TCP to one port alone. Its speed is the limit for
// whatever steers packets.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2

// VIP_PORT, BACKEND_1 and BACKEND_2 (addresses in host order) come from the command line.

SEC("tc")
int l4_dsr(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	struct bpf_redir_neigh hop = { .nh_family = AF_INET };

	if ((void *)(tcp + 1) > end)
		return TC_ACT_UNSPEC;
	if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_TCP || ip->ihl != 5)
		return TC_ACT_UNSPEC;
	if (tcp->dest != bpf_htons(VIP_PORT))
		return TC_ACT_UNSPEC;
	// The kernel gives clients ports of either parity, so the next bit decides.
	hop.ipv4_nh = bpf_htonl((bpf_ntohs(tcp->source) >> 1) & 1 ? BACKEND_1 : BACKEND_2);
	return bpf_redirect_neigh(skb->ifindex, &hop, sizeof(hop), 0);
}

char _license[] SEC("license") = "Apache-2.0";
