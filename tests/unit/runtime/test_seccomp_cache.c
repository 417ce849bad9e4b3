/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles of the size that engines use, and the cache of what is compiled from them. */
#include "tests/unit/runtime/seccomp_util.h"

#include "base/str.h"
#include "runtime/seccomp_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>

static char dir[] = "/tmp/ctr-test-seccomp-XXXXXX";
static int cache = -1;

static const char many_names[] =
	"accept accept4 access adjtimex alarm bind brk capget capset chdir chmod chown clock_getres "
	"clock_gettime clock_nanosleep clone clone3 close close_range connect copy_file_range creat dup dup2 "
	"dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd eventfd2 execve execveat "
	"exit exit_group faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchown fchownat "
	"fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs fsync "
	"ftruncate futex getcwd getdents getdents64 getegid geteuid getgid getgroups getitimer getpeername "
	"getpgid getpgrp getpid getpriority getrandom getresgid getresuid getrlimit getrusage getsid "
	"getsockname getsockopt gettid gettimeofday getuid getxattr inotify_add_watch inotify_init1 ioctl "
	"ioprio_get ioprio_set kill lchown lgetxattr link linkat listen listxattr llistxattr lremovexattr "
	"lseek lsetxattr lstat madvise membarrier memfd_create mincore mkdir mkdirat mknod mknodat mlock "
	"mlock2 mlockall mmap mprotect mq_open mremap msgctl msgget msgrcv msgsnd msync munlock munlockall "
	"munmap nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 poll "
	"ppoll prctl pread64 preadv preadv2 prlimit64 pselect6 pwrite64 pwritev pwritev2 read readahead "
	"readlink readlinkat readv recvfrom recvmmsg recvmsg removexattr rename renameat renameat2 "
	"restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn "
	"rt_sigsuspend rt_sigtimedwait sched_getaffinity sched_getattr sched_getparam sched_yield seccomp "
	"select semctl semget semop semtimedop sendfile sendmmsg sendmsg sendto set_robust_list "
	"set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid "
	"setresgid setresuid setreuid setrlimit setsid setsockopt setuid setxattr shmat shmctl shmdt shmget "
	"shutdown sigaltstack signalfd signalfd4 socket socketpair splice stat statfs statx symlink "
	"symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete "
	"timerfd_create timerfd_gettime timerfd_settime times tkill truncate umask uname unlink unlinkat "
	"utime utimensat utimes vfork vmsplice wait4 waitid write writev landlock_create_ruleset "
	"futex_waitv process_mrelease cachestat";

struct many {
	struct spec_seccomp s;
	struct spec_syscall rules[7];
	struct str_list names;
};

/* An allow-list of the size and kind that container engines use. */
static void many_init(struct many *m)
{
	AUTO_FREE char *text = strdup(many_names);
	static char *personality_name[] = { "personality", NULL },
		    *getppid_name[] = { "getppid", NULL };
	static char *archs[] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", NULL };
	static struct spec_syscall_arg persona[] = {
		{ 0, 0, 0, OP_EQ },       { 0, 8, 0, OP_EQ },          { 0, 0x20000, 0, OP_EQ },
		{ 0, 0x20008, 0, OP_EQ }, { 0, 0xffffffff, 0, OP_EQ },
	};

	*m = (struct many){ .s.default_action = ACT_ERRNO };
	for (char *save, *t = strtok_r(text, " ", &save); t; t = strtok_r(NULL, " ", &save))
		assert_int_equal(str_list_add(&m->names, t), 0);
	m->rules[0] = (struct spec_syscall){
		.names = { m->names.v, m->names.n },
		.action = ACT_ALLOW,
	};
	for (int i = 0; i < 5; i++)
		m->rules[1 + i] = (struct spec_syscall){
			.names = { personality_name, 1 },
			.action = ACT_ALLOW,
			.args = { &persona[i], 1 },
		};
	m->rules[6] = (struct spec_syscall){
		.names = { getppid_name, 1 },
		.action = ACT_ERRNO,
		.errno_ret = { true, ENOLINK },
	};
	m->s.syscalls = (struct spec_syscalls){ m->rules, 7 };
	m->s.architectures = (struct spec_strings){ archs, 3 };
}

static int do_many(void)
{
	struct utsname u;

	if (uname(&u) < 0 || getpid() <= 0)
		return 1;
	if (syscall(SYS_personality, 0xffffffff) < 0)
		return 2;
	if (syscall(SYS_personality, 7) >= 0 || errno != EPERM)
		return 3;
	if (syscall(SYS_getppid) >= 0 || errno != ENOLINK)
		return 4;
	if (syscall(SYS_reboot, 0, 0, 0) >= 0 || errno != EPERM)
		return 5;
	return 0;
}

static void many_rules(void **state)
{
	struct many m;

	(void)state;
	many_init(&m);
	assert_int_equal(exit_of(under(&m.s, do_many)), 0);
	str_list_free(&m.names);
}

static int count_entries(char name[256])
{
	AUTO_CLOSEDIR DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			snprintf(name, 256, "%s", e->d_name);
			n++;
		}
	return n;
}

static void empty_cache(void)
{
	AUTO_CLOSEDIR DIR *d = opendir(dir);
	struct dirent *e;

	while ((e = readdir(d)))
		unlinkat(cache, e->d_name, 0);
}

static bool same(const struct seccomp_prog *a, const struct seccomp_prog *b)
{
	return a->n == b->n && a->flags == b->flags && a->notify == b->notify &&
	       memcmp(a->insns, b->insns, a->n * sizeof(*a->insns)) == 0;
}

static bool hit(const struct spec_seccomp *s, struct seccomp_prog *p)
{
	AUTO(str_buf_free) struct str_buf key = {};

	assert_int_equal(seccomp_cache_key(s, &key), 0);
	return seccomp_cache_get(cache, &key, p) == 0;
}

static void cache_hit_equals_miss(void **state)
{
	AUTO_PROG struct seccomp_prog none = {}, miss = {}, second = {}, raw = {};
	struct err e = {};
	char name[256];
	struct stat st;
	struct many m;

	(void)state;
	empty_cache();
	many_init(&m);
	assert_false(hit(&m.s, &raw));
	assert_int_equal(seccomp_compile(&m.s, -1, &none, &e), 0);
	assert_int_equal(count_entries(name), 0);
	assert_int_equal(seccomp_compile(&m.s, cache, &miss, &e), 0);
	assert_int_equal(count_entries(name), 1);
	assert_int_equal(fstatat(cache, name, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(hit(&m.s, &raw));
	assert_int_equal(seccomp_compile(&m.s, cache, &second, &e), 0);
	assert_true(same(&none, &miss));
	assert_true(same(&miss, &second));
	assert_int_equal(count_entries(name), 1);
	str_list_free(&m.names);
}

/* Any difference of two profiles is a difference of their keys. */
static void cache_keys_differ(void **state)
{
	struct spec_syscall_arg arg = { 0, 1, 2, OP_EQ };
	struct spec_syscall rule = {
		.names = NAMES("getppid", "getpid"),
		.action = ACT_ERRNO,
		.args = { &arg, 1 },
	};
	struct spec_seccomp s = { .default_action = ACT_ALLOW, .syscalls = { &rule, 1 } };
	struct str_buf keys[13] = {};
	size_t n = 0;

	(void)state;
#define KEY() assert_int_equal(seccomp_cache_key(&s, &keys[n++]), 0)
	KEY();
	arg.value = 2;
	KEY();
	arg.value_two = 3;
	KEY();
	arg.op = OP_NE;
	KEY();
	arg.index = 1;
	KEY();
	rule.errno_ret = (struct opt_u64){ true, 0 };
	KEY();
	rule.action = ACT_TRACE;
	KEY();
	rule.names = (struct spec_strings)NAMES("getppidgetpid");
	KEY();
	s.flags.set = true;
	KEY();
	s.flags.v = SECCOMP_FILTER_FLAG_LOG;
	KEY();
	s.architectures = (struct spec_strings)NAMES("SCMP_ARCH_X86");
	KEY();
	s.default_action = ACT_LOG;
	KEY();
	s.default_errno_ret.set = true;
	KEY();
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			assert_false(keys[i].len == keys[k].len &&
				     memcmp(keys[i].s, keys[k].s, keys[i].len) == 0);
	for (size_t i = 0; i < n; i++)
		str_buf_free(&keys[i]);
}

static void flip(const char *name, off_t at)
{
	AUTO_CLOSE int fd = openat(cache, name, O_RDWR | O_CLOEXEC);
	char c;

	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
}

static void cache_poisoned(void **state)
{
	struct spec_seccomp s = {
		.default_action = ACT_ALLOW,
		.syscalls = RULES({ .names = NAMES("getppid"), .action = ACT_ERRNO }),
	};
	AUTO_PROG struct seccomp_prog want = {}, got = {};
	struct err e = {};
	char name[256];
	struct stat st;

	(void)state;
	empty_cache();
	assert_int_equal(seccomp_compile(&s, cache, &want, &e), 0);
	assert_int_equal(count_entries(name), 1);
	assert_int_equal(fstatat(cache, name, &st, 0), 0);
	/* every single byte of it: head, key, program */
	for (off_t at = 0; at < st.st_size; at++) {
		flip(name, at);
		assert_false(hit(&s, &got));
		flip(name, at);
	}
	assert_true(hit(&s, &got));
	seccomp_free(&got);
	/* cut off at every length */
	for (off_t len = st.st_size - 1; len >= 0; len -= 7) {
		AUTO_CLOSE int fd = openat(cache, name, O_RDWR | O_CLOEXEC);

		assert_int_equal(ftruncate(fd, len), 0);
		assert_false(hit(&s, &got));
	}
	/* a damaged one is replaced */
	assert_int_equal(seccomp_compile(&s, cache, &got, &e), 0);
	assert_true(same(&want, &got));
	seccomp_free(&got);
	assert_true(hit(&s, &got));
	seccomp_free(&got);
	/* written by others, or not a file of this directory */
	assert_int_equal(fchmodat(cache, name, 0620, 0), 0);
	assert_false(hit(&s, &got));
	assert_int_equal(fchmodat(cache, name, 0600, 0), 0);
	assert_true(hit(&s, &got));
	seccomp_free(&got);
	assert_int_equal(renameat(cache, name, cache, "elsewhere"), 0);
	assert_int_equal(symlinkat("elsewhere", cache, name), 0);
	assert_false(hit(&s, &got));
	assert_int_equal(unlinkat(cache, name, 0), 0);
	assert_int_equal(mkfifoat(cache, name, 0600), 0);
	assert_false(hit(&s, &got));
	/* the fifo is replaced as well */
	assert_int_equal(seccomp_compile(&s, cache, &got, &e), 0);
	seccomp_free(&got);
	assert_true(hit(&s, &got));
}

static void cache_is_bounded(void **state)
{
	struct spec_syscall_arg arg = { 0, 0, 0, OP_EQ };
	struct spec_syscall rule = {
		.names = NAMES("getppid"),
		.action = ACT_ERRNO,
		.args = { &arg, 1 },
	};
	struct spec_seccomp s = { .default_action = ACT_ALLOW, .syscalls = { &rule, 1 } };
	struct err e = {};
	char name[256];

	(void)state;
	empty_cache();
	for (arg.value = 0; arg.value < SECCOMP_CACHE_MAX + 20; arg.value++) {
		AUTO_PROG struct seccomp_prog p = {};

		assert_int_equal(seccomp_compile(&s, cache, &p, &e), 0);
	}
	assert_int_equal(count_entries(name), SECCOMP_CACHE_MAX);
	/* the newest is there */
	arg.value--;

	AUTO_PROG struct seccomp_prog p = {};

	assert_true(hit(&s, &p));
}

/* A cache that cannot be written changes nothing. */
static void cache_unusable(void **state)
{
	struct spec_seccomp s = {
		.default_action = ACT_ALLOW,
		.syscalls = RULES({ .names = NAMES("getppid"), .action = ACT_ERRNO }),
	};
	AUTO_CLOSE int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	AUTO_PROG struct seccomp_prog p = {};
	struct err e = {};

	(void)state;
	assert_int_equal(seccomp_compile(&s, null, &p, &e), 0);
	assert_true(p.n > 0);
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	cache = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return cache < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	empty_cache();
	close(cache);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_rules),        cmocka_unit_test(cache_hit_equals_miss),
		cmocka_unit_test(cache_keys_differ), cmocka_unit_test(cache_poisoned),
		cmocka_unit_test(cache_is_bounded),  cmocka_unit_test(cache_unusable),
	};

	return cmocka_run_group_tests_name("seccomp_cache", tests, setup, teardown);
}
