# SPDX-License-Identifier: GPL-2.0-or-later
"""What benches need around them inside a machine."""
import contextlib
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import infini  # noqa: E402  pylint: disable=wrong-import-position


def modprobe(*names):
    """Modules that the kernel may not have: who needs one says so."""
    for name in names:
        subprocess.run(["modprobe", "-q", name], check=False)


@contextlib.contextmanager
def stopped(process):
    process.send_signal(signal.SIGSTOP)
    # It stops when it runs next.
    os.waitpid(process.pid, os.WUNTRACED)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


class World:
    """The module, infinid with the null backend and no other, which it would ask what they have
    while it is measured; and its vdev "a".

    Where nothing runs, time jumps to the next timer, and while a file is read from the host every
    deadline passes. So something that only runs where nothing else would, except under a
    measurement."""

    def __init__(self, out):
        self.awake = subprocess.Popen(["chrt", "--idle", "0", "sh", "-c", "while :; do :; done"])
        infini.load_module()
        self.daemon = infini.Daemon(out, ["null0"], "[backend ggml]\nenabled = no\n"
                                    "[backend null]\nenabled = yes\n", "idle_exit_s = 0\n")

    def __enter__(self):
        self.daemon.start()
        infini.ctl("vdev", "create", "a", "--device", "null0", "--memory", "60M")
        return self

    @contextlib.contextmanager
    def alone(self):
        """Nothing else runs."""
        with stopped(self.awake):
            yield

    def __exit__(self, *_):
        infini.ctl("vdev", "delete", "a", "--force")
        self.daemon.stop()
        self.awake.kill()
        self.awake.wait()
