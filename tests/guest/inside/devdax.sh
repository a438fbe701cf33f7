# SPDX-License-Identifier: BSD-3-Clause
#
# What every kind of device-dax must do: found by `device = auto`, given to the daemon's group by the udev rule, served, and there
# again after a restart.

# serve_devdax ALIGN-IN-BYTES [LINE...]: $node is the only usable device of this host.
serve_devdax() {
	local align=$1
	expect 'pmemarena-dev 660' stat -c '%G %a' "$node"
	arena main auto "${@:2}"
	start_daemon
	expect "$(basename "$node")" pmemarenactl status
	check_status "$align"

	note examples, as an ordinary user
	run_examples

	note pieces of a cache
	as alice "$client" cache main pieces
	local published
	published=$(pmemarenactl list --json --prefix pieces- | jq -r '.allocations[].name')
	[ -n "$published" ] || fail "nothing was published from the cache"
	for name in $published; do
		as alice "$client" get main "$name"
		as alice "$client" free main "$name"
	done
	expect clean pmemarenactl check-memmap

	note contents stay over a restart, and a stop
	as alice "$client" put main kept 3000000
	systemctl restart pmemarenad.service
	as alice "$client" get main kept
	expect kept pmemarenactl list
	systemctl stop "${units[@]}"
	expect clean pmemarenactl check "$node"
	start_daemon
	as alice "$client" get main kept
	as alice "$client" free main kept
	expect clean pmemarenactl check
	expect clean pmemarenactl check-memmap
}

check_status() {
	pmemarenactl status --json | jq -e --arg chardev "$(basename "$node")" --argjson align "$1" '.arenas[0].device |
		.chardev == $chardev and .align == $align and has("target_node") and (.persistence_domain | length > 0)' ||
		fail "status does not name chardev, alignment, NUMA node and persistence domain: $(pmemarenactl status --json)"
}

run_examples() {
	as alice /lab/examples/producer greeting 1M hello from alice
	expect 'hello from alice' as alice /lab/examples/consumer greeting
	as alice /lab/examples/kvlog colours put sky blue
	expect blue as alice /lab/examples/kvlog colours get sky
}
