/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cuda-window: a GPU reads from an arena, and writes to it, without a copy in between. The process
 * maps the arena once, as a window for reading, and registers that memory with CUDA once; from then
 * on the GPU reads allocations where they are, at the speed of its link. What the GPU writes is
 * mapped and registered by itself: through a window for writing a wrong address would overwrite
 * anybody's data in the arena.
 *
 *	nvcc -o cuda-window cuda-window.cu -lpmemarena
 *	./cuda-window NAME
 *
 * It has the GPU write an allocation called NAME, and read it again. A GPU may still write when its
 * process was killed already: set `device-grace` in pmemarenad.conf(5) where processes do this.
 */
#include <cuda_runtime.h>
#include <pmemarena.h>
#include <stdio.h>
#include <string.h>

#define BYTES (UINT64_C(2) << 20)
/*
 * The most that is registered at once. One call of 512 GiB or more fails (the driver's table of
 * pages is then larger than it can allocate), and a copy must not span two registrations: chunks
 * end where allocations do (pma_window_next_range()).
 */
#define CHUNK (UINT64_C(64) << 30)

static int failed(const char *what)
{
	fprintf(stderr, "cuda-window: %s: %s\n", what, pma_message());
	return 1;
}

static int gpu_failed(const char *what, cudaError_t err)
{
	/* An error of a call stays and would fail the next kernel: it is taken away here. */
	(void)cudaGetLastError();
	fprintf(stderr, "cuda-window: %s: %s\n", what, cudaGetErrorString(err));
	return 1;
}

/* ---- the window, registered ---- */

static void unregister_all(const struct pma_window *window, uint64_t end)
{
	struct pma_range range;
	uint64_t at = 0;

	while (at < end && pma_window_next_range(&range, window, CHUNK, &at) == 1)
		(void)cudaHostUnregister(range.address);
}

/* Memory that is mapped for reading alone is registered so, where the GPU knows that. */
static unsigned flags_for_reading(void)
{
	int can = 0;

	(void)cudaDeviceGetAttribute(&can, cudaDevAttrHostRegisterReadOnlySupported, 0);
	return can ? cudaHostRegisterReadOnly : cudaHostRegisterDefault;
}

/* All of it or nothing: on failure what was registered so far is not any more. */
static int register_all(const struct pma_window *window)
{
	struct pma_range range;
	uint64_t at = 0, done = 0;
	cudaError_t err;
	int r;

	while ((r = pma_window_next_range(&range, window, CHUNK, &at)) == 1) {
		err = cudaHostRegister(range.address, range.len, flags_for_reading());
		if (err != cudaSuccess) {
			unregister_all(window, done);
			return gpu_failed("registering the window", err);
		}
		done = at;
	}
	return r < 0 ? failed("the window's ranges") : 0;
}

/* ---- the GPU writes, and reads ---- */

/* From @gpu into the reservation @handle. It is durable afterwards. */
static int copy_out(struct pma *pma, struct pma_handle handle, const void *gpu)
{
	struct pma_mapping *map;
	cudaError_t err;
	void *to;
	int r;

	if (pma_map(&map, pma, handle, PMA_MAP_WRITE) < 0)
		return failed("mapping it");
	to = pma_map_address(map);
	err = cudaHostRegister(to, BYTES, cudaHostRegisterDefault);
	if (err == cudaSuccess) {
		err = cudaMemcpy(to, gpu, BYTES, cudaMemcpyDeviceToHost);
		(void)cudaHostUnregister(to);
	}
	r = err == cudaSuccess ? 0 : gpu_failed("copying from the GPU", err);
	if (r == 0 && pma_persist(map, to, BYTES) < 0)
		r = failed("making it durable");
	pma_unmap(map);
	return r;
}

static int store(struct pma *pma, const char *name, const void *gpu)
{
	/* All of it is written, so it need not be zeroed before. */
	const uint32_t flags = PMA_CONTIGUOUS | PMA_ANY_CONTENTS;
	struct pma_handle handle;

	if (pma_reserve(&handle, pma, name, BYTES, flags) < 0)
		return failed("reserving it");
	if (copy_out(pma, handle, gpu) != 0) {
		(void)pma_abort(pma, handle);
		return 1;
	}
	if (pma_publish(pma, handle) < 0)
		return failed("publishing it");
	return pma_close(pma, handle) < 0 ? failed("closing it") : 0;
}

/* Into @gpu. The pin is put when the GPU is done: until then nobody else gets the space. */
static int load(struct pma_window *window, const char *name, void *gpu)
{
	struct pma_key key = {};
	struct pma_pin pin;
	cudaError_t err;

	key.name = name;
	if (pma_get(window, &pin, &key, 1, 0) != 1)
		return failed("looking it up");
	err = cudaMemcpyAsync(gpu, pin.address, BYTES, cudaMemcpyHostToDevice, 0);
	if (err == cudaSuccess)
		err = cudaStreamSynchronize(0);
	pma_put(window, &pin, 1);
	return err == cudaSuccess ? 0 : gpu_failed("copying to the GPU", err);
}

static int work(struct pma *pma, struct pma_window *window, const char *name)
{
	static unsigned char seen[BYTES];
	cudaError_t err;
	void *gpu;
	int r;

	err = cudaMalloc(&gpu, BYTES);
	if (err == cudaSuccess)
		err = cudaMemset(gpu, 'g', BYTES);
	if (err != cudaSuccess)
		return gpu_failed("memory of the GPU", err);
	r = store(pma, name, gpu);
	(void)cudaMemset(gpu, 0, BYTES);
	if (r == 0)
		r = load(window, name, gpu);
	err = cudaMemcpy(seen, gpu, BYTES, cudaMemcpyDeviceToHost);
	(void)cudaFree(gpu);
	if (r == 0 && (err != cudaSuccess || seen[0] != 'g' || seen[BYTES - 1] != 'g'))
		r = gpu_failed("what was read is not what was written", err);
	return r;
}

int main(int argc, char **argv)
{
	struct pma_window *window;
	struct pma *pma;
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: cuda-window NAME\n");
		return 64;
	}
	if (pma_connect(&pma, NULL) < 0)
		return failed("connecting");
	if (pma_window_open(&window, pma, 0, 0, 0) < 0) {
		pma_disconnect(pma);
		return failed("the window");
	}
	r = register_all(window);
	if (r == 0) {
		r = work(pma, window, argv[1]);
		unregister_all(window, UINT64_MAX);
	}
	pma_window_close(window);
	pma_disconnect(pma);
	return r;
}
