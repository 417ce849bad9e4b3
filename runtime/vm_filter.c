/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the VMM, QEMU and the file server never do, and what a guest that has taken one of them over
 * would try first: new namespaces and mounts (the kernel's code for who is root in there), other
 * processes, and parts of the kernel that are known for their bugs. By number only: a filter of all
 * that they do would be another one with each QEMU and C library.
 */
#include "vm_jail.h"

#include "base/cleanup.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define X32_BIT 0x40000000
#define NEW_NAMESPACES                                                                      \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |      \
	 CLONE_NEWPID | CLONE_NEWNET | 0x80 /* CLONE_NEWTIME, which clone takes as a signal */)

static const unsigned int denied[] = {
	__NR_setns,
	__NR_mount,
	__NR_umount2,
	__NR_pivot_root,
	__NR_move_mount,
	__NR_open_tree,
	__NR_fsopen,
	__NR_fsconfig,
	__NR_fsmount,
	__NR_fspick,
	__NR_mount_setattr,
	__NR_bpf,
	__NR_perf_event_open,
	__NR_ptrace,
	__NR_process_vm_readv,
	__NR_process_vm_writev,
	__NR_pidfd_getfd,
	__NR_kcmp,
	__NR_add_key,
	__NR_request_key,
	__NR_keyctl,
	__NR_userfaultfd,
	__NR_io_uring_setup,
	__NR_io_uring_enter,
	__NR_io_uring_register,
	__NR_open_by_handle_at,
	__NR_init_module,
	__NR_finit_module,
	__NR_delete_module,
	__NR_kexec_load,
	__NR_kexec_file_load,
	__NR_swapon,
	__NR_swapoff,
	__NR_reboot,
	__NR_acct,
	__NR_quotactl,
	__NR_iopl,
	__NR_ioperm,
	__NR_modify_ldt,
	__NR_syslog,
};

#define ERROR(code) (SECCOMP_RET_ERRNO | (code))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)

static int load(const struct sock_fprog *p)
{
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, p);

	if (r < 0 && errno == EINVAL)
		r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, p);
	return r < 0 ? -errno : 0;
}

int vm_jail_filter(struct err *e)
{
	const struct sock_filter head[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		/* its flags are in memory; the C library goes on to clone */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1),
		RETURN(ERROR(ENOSYS)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_unshare, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 4),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1),
		RETURN(ERROR(EPERM)),
		RETURN(SECCOMP_RET_ALLOW),
	};
	struct sock_filter code[ARRAY_SIZE(head) + 2 * ARRAY_SIZE(denied) + 1];
	struct sock_fprog p = { .filter = code };
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(head); i++)
		code[p.len++] = head[i];
	for (size_t i = 0; i < ARRAY_SIZE(denied); i++) {
		code[p.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denied[i],
							     0, 1);
		code[p.len++] = (struct sock_filter)RETURN(ERROR(EPERM));
	}
	code[p.len++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	r = load(&p);
	/* A kernel that has no filters is one for which nobody asked for them. */
	return r < 0 && r != -ENOSYS && r != -EINVAL ? err_sys(e, -r, "filter the machine's calls")
						     : 0;
}
