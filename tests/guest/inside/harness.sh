# SPDX-License-Identifier: BSD-3-Clause
#
# What lanes are written with. A lane is a list of commands that must succeed; these read like what they check:
#
#	refuse CMD...               it must fail
#	expect TEXT CMD...          it must succeed and print TEXT (a fixed string)
#	eventually SECONDS CMD...   it must succeed within that time; polled, because the other side is the kernel or systemd
#	as USER CMD...              as that user, with the groups that /etc/group gives it
#	fail WHY...                 end the lane
#
# alice is in the group pmemarena, so is bob; mallory is not.

. /lab/inside/devices.sh

readonly conf=/etc/pmemarena/pmemarenad.conf
readonly units=(pmemarenad.service pmemarenad.socket pmemarenad-admin.socket)
readonly client=/lab/bin/client

fail() { echo "FAILED: $*" >&2; trap - ERR; exit 1; }
note() { echo "--- $*"; }
as() { local user=$1; shift; runuser -u "$user" -- "$@"; }

refuse() {
	if "$@"; then
		fail "this should have been refused: $*"
	fi
}

not() { ! "$@"; }

expect() {
	local text=$1 out
	shift
	out=$("$@" 2>&1) || fail "$* failed: $out"
	[[ $out == *"$text"* ]] || fail "$* did not print '$text' but: $out"
}

eventually() {
	local seconds=$1 end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || fail "not within $seconds s: $*"
		sleep 0.1
	done
}

# ---- the daemon ----

# arena NAME DEVICE [LINE...]: one more in the configuration; formatted at start unless a line says otherwise.
arena() {
	local lines=("${@:3}")
	[[ "${lines[*]}" == *format* ]] || lines+=('format = if-blank')
	printf '%s\n' "[arena $1]" "device = $2" "${lines[@]}" >> "$conf"
}

start_daemon() {
	systemctl start pmemarenad.service || { systemctl status pmemarenad.service; fail "pmemarenad did not start"; }
	is_serving || fail "started, and not active"
}

is_serving() { systemctl -q is-active pmemarenad.service; }
main_pid() { systemctl show -P MainPID pmemarenad.service; }
is_other_pid() { is_serving && [ "$(main_pid)" != "$1" ] && [ "$(main_pid)" != 0 ]; }

# override LINE...: settings of the [Service] section, until the lane ends.
override() {
	mkdir -p /run/systemd/system/pmemarenad.service.d
	printf '%s\n' '[Service]' "$@" > /run/systemd/system/pmemarenad.service.d/lab.conf
	systemctl daemon-reload
}

# What pmemarenad has said since the lane began; journal_has_level LEVEL TEXT, of that level alone.
journal() { journalctl -S "$LANE_SINCE" -q -o cat -u pmemarenad.service "$@"; }
journal_has() { journal | grep -qF -e "$1"; }
journal_has_level() { journal -p "$1..$1" | grep -qF -e "$2"; }

# ---- a client that goes on running: a coprocess, spoken to in lines ----

hold() {        # USER CLIENT-ARGUMENT...
	local user=$1
	shift
	coproc HELD { exec runuser -u "$user" -- "$client" "$@"; }
}

say() { echo "$*" >&"${HELD[1]}"; }

hear() {        # TEXT: its next line
	local line
	read -r -t 30 -u "${HELD[0]}" line || fail "the client said nothing; expected: $1"
	[ "$line" = "$1" ] || fail "the client said '$line' and not '$1'"
}

let_go() {
	local pid=$HELD_PID
	exec {HELD[1]}>&-
	wait "$pid"
}

# ---- before and after a lane ----

set_up() {
	remove_devices
	wipe_hmem
	: > "$conf"
}

# Devices are left to whoever comes next: they cannot be taken away while a client that failed still has them mapped.
tidy_up() {
	systemctl stop "${units[@]}" cxl-region.service
	rm -rf /run/pmemarena/* /run/systemd/system/pmemarenad.service.d /run/systemd/system/cxl-region.service
	rm -f /run/udev/rules.d/59-pmemarena-badblocks.rules
	udevadm control --reload
	systemctl daemon-reload
	systemctl reset-failed
}
