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

# arena NAME DEVICE [LINE...]: one more in the configuration.
arena() {
	printf '%s\n' "[arena $1]" "device = $2" 'format = if-blank' "${@:3}" >> "$conf"
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

journal_has() { journalctl -b -q -o cat -u pmemarenad.service | grep -qF -e "$1"; }
# journal_has_level LEVEL TEXT
journal_has_level() { journalctl -b -q -o cat -p "$1..$1" -u pmemarenad.service | grep -qF -e "$2"; }

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
	usermod -aG pmemarena alice
	usermod -aG pmemarena bob
	remove_devices
	: > "$conf"
}

tidy_up() {
	systemctl stop "${units[@]}" 2> /dev/null
	rm -rf /run/pmemarena /run/systemd/system/pmemarenad.service.d /var/lib/pmemarena/*
	systemctl daemon-reload
	systemctl reset-failed
	remove_devices
}
