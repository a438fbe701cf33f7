/* SPDX-License-Identifier: BSD-3-Clause */
/* sandbox: gives up capabilities and system calls, before the daemon opens anything. */
#include <config.h>

#include "daemon/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "daemon/log.h"

/*
 * The list says what is refused, and not what is allowed. Libraries that open devices and look up
 * users change the system calls that they make from version to version; a daemon that was killed
 * for a new one would be a greater loss than this filter prevents. The unit file has the strict
 * list.
 */
static const char *const refused[] = {
	"execve", "execveat", "fork", "vfork", "mount", "umount2", "pivot_root", "chroot",
	"unshare", "setns", "move_mount", "open_tree", "fsopen", "init_module", "finit_module",
	"delete_module", "kexec_load", "kexec_file_load", "bpf", "perf_event_open", "reboot",
	"swapon", "swapoff", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "acct",
	"quotactl", "sethostname", "setdomainname", "add_key", "request_key", "keyctl",
	"userfaultfd", "process_vm_writev", "io_uring_setup",
};

static void refuse_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int r = filter ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < sizeof(refused) / sizeof(*refused); i++) {
		int call = seccomp_syscall_resolve_name(refused[i]);

		/* A call that this architecture does not have needs no rule. */
		if (call != __NR_SCMP_ERROR && call >= 0)
			r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0);
	}
	if (r == 0)
		r = seccomp_load(filter);
	if (r < 0)
		log_debug("system calls are not restricted: %s", strerror(-r));
	seccomp_release(filter);
}

/*
 * Gives up all capabilities but two: to open files of other users, and to give sockets to a group.
 * Without capabilities root still owns what belongs to root.
 */
static void drop_capabilities(void)
{
	if (geteuid() != 0)
		return;
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
			  CAP_DAC_OVERRIDE, CAP_CHOWN, -1) < 0 ||
	    capng_apply(CAPNG_SELECT_BOTH) < 0)
		log_debug("capabilities are kept: libcap-ng could not drop them");
}

void sandbox_enter(void)
{
	drop_capabilities();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		log_debug("no_new_privs is not available: %s", strerror(errno));
	else
		refuse_calls();
}
