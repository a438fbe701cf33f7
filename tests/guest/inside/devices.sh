# SPDX-License-Identifier: BSD-3-Clause
#
# Device-dax for lanes: NVDIMM namespaces of any alignment, a dax region that is RAM set aside (as volatile CXL memory and
# HBM are), which can be divided, and a persistent CXL memory device, of which regions are made. Each lane makes what it
# needs and finds no other device enabled.

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

readonly cxl=/sys/bus/cxl/devices

# Where the sample script and unit, and the rule of CXL.md are.
readonly samples=/usr/share/doc/pmemarena/examples

# make_cxl_region UUID SERIAL: all of the device as one persistent region; $cxl_region.
make_cxl_region() {
	bash $samples/cxl-region "$1" "$2"
	find_cxl_region
}

find_cxl_region() {
	cxl_region=$(basename $cxl/region*)
	eventually 10 test -e "/sys/bus/nd/devices/$cxl_region"
	udevadm settle
}

# make_cxl_devdax ALIGN SIZE: a namespace of that region; $node.
make_cxl_devdax() {
	local made
	made=$(ndctl create-namespace -f -r "$cxl_region" -m devdax -a "$1" -s "$2")
	node=/dev/$(jq -r '.daxregion.devices[0].chardev' <<< "$made")
	udevadm settle
	[ -c "$node" ] || fail "ndctl made no device: $made"
}

# destroy_cxl_region REGION: its namespaces stay in the device's labels.
destroy_cxl_region() {
	ndctl disable-region "$1"
	cxl destroy-region -f "$1"
}

destroy_cxl_regions() {
	local path
	for path in $cxl/region*; do
		[ ! -e "$path" ] || destroy_cxl_region "$(basename "$path")" || true
	done > /dev/null 2>&1
}

# Take every device away that a lane may have made.
remove_devices() {
	local namespace
	for namespace in $(ndctl list -N -i 2> /dev/null | jq -r 'if type == "array" then .[] else . end | .dev'); do
		ndctl destroy-namespace -f "$namespace" > /dev/null 2>&1 || true
	done
	destroy_cxl_regions
	clear_hmem
}
