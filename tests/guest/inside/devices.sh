# SPDX-License-Identifier: BSD-3-Clause
#
# Device-dax for lanes: NVDIMM namespaces of any alignment, and a dax region that is RAM set aside (as CXL memory and
# HBM are), which can be divided. Each lane makes what it needs and finds no other device enabled.

# Once a boot: several namespaces in one region need labels.
prepare_region() {
	ndctl disable-region region0
	ndctl init-labels -f nmem0
	ndctl enable-region region0
}

# make_devdax ALIGN SIZE: a namespace; its node is $node, /dev/daxX.Y.
make_devdax() {
	local made
	made=$(ndctl create-namespace -f -r region0 -m devdax -a "$1" -s "$2")
	node=/dev/$(jq -r '.daxregion.devices[0].chardev' <<< "$made")
	udevadm settle
	[ -c "$node" ] || fail "ndctl made no device: $made"
	/lab/bin/wipe "$node"
}

# The number of the region that has no NVDIMM behind it.
hmem_region() { cat /sys/devices/platform/hmem.*/dax_region/id; }   # hmem.N has region N

# make_slice SIZE: a device of that region; $node.
make_slice() {
	local made
	made=$(daxctl create-device -r "$(hmem_region)" -s "$1")
	node=/dev/$(jq -r '.[0].chardev' <<< "$made")
	udevadm settle
	[ -c "$node" ] || fail "daxctl made no device: $made"
}

# Give all of the region back, so that it can be divided.
clear_hmem() {
	local device
	for device in $(daxctl list -r "$(hmem_region)" -D | jq -r 'if type == "array" then .[] else . end | .chardev'); do
		daxctl disable-device "$device" || true
		# It prints that the device is busy, and frees the space all the same.
		daxctl destroy-device "$device" || true
	done > /dev/null 2>&1
	udevadm settle
}

wipe_hmem() {
	local node
	make_slice "$(cat "/sys/devices/platform/hmem.$(hmem_region)/dax_region/size")"
	/lab/bin/wipe "$node"
	clear_hmem
}

# Take every device away that a lane may have made.
remove_devices() {
	local namespace
	for namespace in $(ndctl list -N -i 2> /dev/null | jq -r 'if type == "array" then .[] else . end | .dev'); do
		ndctl destroy-namespace -f "$namespace" > /dev/null 2>&1 || true
	done
	clear_hmem
}
