// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded, makes ggml look like a version the plugin was not built for.
 */
const char *ggml_version(void);

const char *ggml_version(void)
{
	return "0.99.0";
}
