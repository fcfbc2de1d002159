// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ggml's own RPC server with one device of this machine, which the distribution's libggml can be and
 * has no program for.
 */
#include <ggml-backend.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

typedef void (*start_server_fn)(const char *endpoint, const char *cache_dir, size_t threads,
				size_t nr_devices, ggml_backend_dev_t *devices);

int main(int argc, char **argv)
{
	ggml_backend_dev_t device;
	ggml_backend_reg_t rpc;
	start_server_fn start;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: rpc-server HOST:PORT [DEVICE]\n");
		return 2;
	}
	/* A client that is killed while it waits for an answer would end it. */
	signal(SIGPIPE, SIG_IGN);
	ggml_backend_load_all();
	device = ggml_backend_dev_by_name(argc == 3 ? argv[2] : "CPU");
	rpc = ggml_backend_reg_by_name("RPC");
	if (!device || !rpc) {
		fprintf(stderr, "rpc-server: libggml has no %s\n", rpc ? "such device" : "RPC backend");
		return 1;
	}
	*(void **)&start = ggml_backend_reg_get_proc_address(rpc, "ggml_backend_rpc_start_server");
	start(argv[1], NULL, 1, 1, &device);
	fprintf(stderr, "rpc-server: cannot serve at %s\n", argv[1]);
	return EXIT_FAILURE;
}
