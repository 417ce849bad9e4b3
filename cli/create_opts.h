/* SPDX-License-Identifier: Apache-2.0 */
/* The options that create and run share: rows over a struct create_opts at offset 0. */
#ifndef CTR_CLI_CREATE_OPTS_H
#define CTR_CLI_CREATE_OPTS_H

#include "cli/cmd.h"

#define CREATE_AT(field) .at = offsetof(struct create_opts, field)

/* clang-format off */
#define CREATE_OPTS_ROWS \
	{ "bundle", 'b', OPT_STRING, CREATE_AT(bundle), "DIR", \
	  "the bundle (default: the current directory)", .complete = OPT_DIR }, \
	{ "config", 'f', OPT_STRING, CREATE_AT(config), "FILE", \
	  "the configuration's name in the bundle (default config.json)", .complete = OPT_FILE }, \
	{ "console-socket", 0, OPT_STRING, CREATE_AT(console_socket), "PATH", \
	  "unix socket that receives the terminal's master", .complete = OPT_FILE }, \
	{ "pidfd-socket", 0, OPT_STRING, CREATE_AT(pidfd_socket), "PATH", \
	  "unix socket that receives a pidfd of the container's init", .complete = OPT_FILE }, \
	{ "pid-file", 0, OPT_STRING, CREATE_AT(pid_file), "PATH", \
	  "file to write the pid of the container's init to", .complete = OPT_FILE }, \
	{ "no-pivot", 0, OPT_FLAG, CREATE_AT(no_pivot), \
	  .help = "change the root without pivot_root (for a root on a ramdisk)" }, \
	{ "no-new-keyring", 0, OPT_FLAG, CREATE_AT(no_new_keyring), \
	  .help = "keep the caller's session keyring" }, \
	{ "preserve-fds", 0, OPT_COUNT, CREATE_AT(preserve_fds), "N", \
	  "pass N descriptors after standard error (3, 4, ...) on" }, \
	{ "network", 0, OPT_STRING, CREATE_AT(network.network), "NETWORK", \
	  "bridge, none, host, container:ID, ns:PATH, cni:NAME, pasta, or one of ctr network" }, \
	{ "publish", 'p', OPT_STRINGS, CREATE_AT(network.publish), "[IP:]HOST:CONTAINER[/tcp|udp]", \
	  "a port, or a range A-B, of the host leads into the container (may be repeated)" }, \
	{ "ip", 0, OPT_STRING, CREATE_AT(network.ip), "ADDRESS", "its IPv4 address" }, \
	{ "ip6", 0, OPT_STRING, CREATE_AT(network.ip6), "ADDRESS", "its IPv6 address" }, \
	{ "mac", 0, OPT_STRING, CREATE_AT(network.mac), "ADDRESS", "its hardware address" }, \
	{ "dns", 0, OPT_STRINGS, CREATE_AT(network.dns), "ADDRESS", \
	  "its name server, in place of the host's (may be repeated)" }, \
	{ "net-rate", 0, OPT_STRING, CREATE_AT(network.rate), "UP:DOWN", \
	  "limit what it sends and receives, for example 10mbit:100mbit" }, \
	{ "vm", 0, OPT_FLAG, CREATE_AT(vm.vm), .help = "run as a micro-VM" }, \
	{ "accel", 0, OPT_CHOICE, CREATE_AT(vm.accel), "WHAT", \
	  "of a micro-VM: kvm, tcg (QEMU, without hardware) or auto (default)", \
	  .choices = &cmd_accels }, \
	{ "kernel", 0, OPT_STRING, CREATE_AT(vm.kernel), "FILE", \
	  "of a micro-VM: a vmlinux or bzImage", .complete = OPT_FILE }, \
	{ "initrd", 0, OPT_STRING, CREATE_AT(vm.initrd), "FILE", \
	  "of a micro-VM: an archive that its kernel unpacks before ctr's", .complete = OPT_FILE }, \
	{ "vcpus", 0, OPT_COUNT, CREATE_AT(vm.vcpus), "N", "processors of a micro-VM" }, \
	{ "vm-memory", 0, OPT_SIZE, CREATE_AT(vm.memory), "SIZE", "memory of a micro-VM" }, \
	{ "no-subreaper", 0, OPT_FLAG, CREATE_AT(no_subreaper), \
	  .help = "in the foreground, do not adopt what processes leave" }
/* clang-format on */

#endif
