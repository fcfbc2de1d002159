// SPDX-License-Identifier: GPL-2.0-only
/* infinitop: counting where processes call libllama. */
#include "top_llama.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "infinitop.skel.h"
#include "tool.h"

enum probe {
	DECODE, DECODE_RETURN, PROCESS, PROCESS_RETURN, TOKENS, OUTPUTS, PROBES
};

/*
 * llama_decode() takes a public struct. Since 0.7 llama.cpp's own programs call llama_process()
 * with a private one, and what it makes of that is what these two members return.
 */
static const struct {
	const char *function;
	bool at_return;
} probes[PROBES] = {
	[DECODE] = { "llama_decode", false },
	[DECODE_RETURN] = { "llama_decode", true },
	[PROCESS] = { "llama_process", false },
	[PROCESS_RETURN] = { "llama_process", true },
	[TOKENS] = { "_ZNK18llama_batch_allocr12get_n_tokensEv", true },
	[OUTPUTS] = { "_ZNK18llama_batch_allocr13get_n_outputsEv", true },
};

static struct bpf_link *links[TOP_LLAMA_FILES][PROBES];

static struct bpf_program *program_of(struct infinitop *skeleton, enum probe probe)
{
	switch (probe) {
	case DECODE:
		return skeleton->progs.top_llama_decode;
	case PROCESS:
		return skeleton->progs.top_llama_process;
	case TOKENS:
		return skeleton->progs.top_llama_tokens;
	case OUTPUTS:
		return skeleton->progs.top_llama_outputs;
	default:
		return skeleton->progs.top_llama_return;
	}
}

bool top_llama_add(struct top_llama *llama, const char *path)
{
	if (llama->nr == TOP_LLAMA_FILES) {
		tool_fail(TOOL_USAGE, "--uprobe: more than %d files", TOP_LLAMA_FILES);
		return false;
	}
	llama->path[llama->nr++] = path;
	return true;
}

void top_llama_prepare(const struct top_llama *llama, struct infinitop *skeleton)
{
	bool wanted = llama->nr > 0;

	for (int probe = 0; probe < PROBES; probe++)
		bpf_program__set_autoload(program_of(skeleton, probe), wanted);
	bpf_program__set_autoload(skeleton->progs.top_submit, wanted);
	bpf_program__set_autoload(skeleton->progs.top_submit_tp, wanted);
	bpf_map__set_autocreate(skeleton->maps.llama_calls, wanted);
	bpf_map__set_autocreate(skeleton->maps.streams, wanted);
}

/* 0 or -errno; -ENOENT if the file, or the function in it, does not exist. */
static int attach(struct infinitop *skeleton, const char *path, enum probe probe,
		  struct bpf_link **link)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .func_name = probes[probe].function,
		    .retprobe = probes[probe].at_return);

	*link = bpf_program__attach_uprobe_opts(program_of(skeleton, probe), -1, path, 0, &opts);
	return *link ? 0 : -errno;
}

/* A function that is not there is not called. */
static int attach_file(struct infinitop *skeleton, const char *path, struct bpf_link **link)
{
	int err = 0;

	for (int probe = 0; probe < PROBES && !err; probe++) {
		err = attach(skeleton, path, probe, &link[probe]);
		if (err == -ENOENT && probe != DECODE)
			err = 0;
	}
	if (!err && link[PROCESS] && !(link[TOKENS] && link[OUTPUTS]))
		err = -EOPNOTSUPP;
	return err;
}

int top_llama_attach(const struct top_llama *llama, struct infinitop *skeleton)
{
	for (int i = 0; i < llama->nr; i++) {
		const char *path = llama->path[i] ? llama->path[i] : "libllama.so.0";
		int err = attach_file(skeleton, path, links[i]);

		if (err == -ENOENT && !llama->path[i])
			return tool_fail(TOOL_FAILED,
					 "no libllama.so.0 here: name the file with --uprobe=PATH");
		if (err == -ENOENT)
			return tool_fail(TOOL_FAILED, "--uprobe %s: no file with llama_decode()",
					 path);
		if (err == -EOPNOTSUPP)
			return tool_fail(TOOL_FAILED,
					 "--uprobe %s: this llama.cpp does not say how many rows it computes",
					 path);
		if (err)
			return tool_fail(TOOL_FAILED, "--uprobe %s: %s", path, strerror(-err));
	}
	return 0;
}

void top_llama_detach(void)
{
	for (int i = 0; i < TOP_LLAMA_FILES; i++)
		for (int probe = 0; probe < PROBES; probe++)
			bpf_link__destroy(links[i][probe]);
}
