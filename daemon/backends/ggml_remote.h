/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices of another machine, behind ggml's RPC server.
 */
#ifndef INFINI_DAEMON_GGML_REMOTE_H
#define INFINI_DAEMON_GGML_REMOTE_H

#include <ggml-backend.h>

#include "../backend.h"

/*
 * The registry of @remote's devices, or NULL with the reason logged. libggml connects here and, where
 * the server does not answer as it should, ends the process. libggml has been loaded.
 */
ggml_backend_reg_t infini_ggml_remote_connect(const struct infini_backend_remote *remote,
					      infini_backend_log_fn log);

/* "far" for the first device of the remote machine "far", "far.1" and so on for others. */
bool infini_ggml_remote_name(const struct infini_backend_remote *remote, size_t index, char *name,
			     size_t bytes);

/* Have connections of this process end when the other machine is silent for half a minute. */
void infini_ggml_remote_watch(void);

/*
 * Whether the device is to be asked to compute @op. libggml's RPC backend says yes to everything; a
 * server that cannot do it ends. So what this machine's CPU would not do is refused.
 */
bool infini_ggml_remote_supports(const struct ggml_tensor *op);

#endif /* INFINI_DAEMON_GGML_REMOTE_H */
