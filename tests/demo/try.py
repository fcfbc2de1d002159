#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside the machine of tests/demo/try: bring Infini up, then run the shell commands given."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import infini  # noqa: E402  pylint: disable=wrong-import-position


def main():
    subprocess.run(["useradd", "-m", "alice"], check=True)
    try:
        infini.load_module()
        infini.Daemon("/out", ["cpu0"], "[backend ggml]\ndevices = cpu0\n").start()
    except (infini.Trouble, OSError, subprocess.CalledProcessError) as error:
        print(f"try: {error}", file=sys.stderr)
        sys.exit(1)
    path = ":".join([os.path.dirname(infini.CTL), os.path.dirname(infini.DAEMON),
                     os.environ["PATH"]])
    environment = dict(os.environ, PATH=path, GGML_BACKEND_PATH=infini.PLUGIN)
    sys.exit(subprocess.run(["bash", "-c", sys.argv[1]], cwd=infini.TREE, env=environment,
                            stdin=subprocess.DEVNULL, check=False).returncode)


if __name__ == "__main__":
    main()
