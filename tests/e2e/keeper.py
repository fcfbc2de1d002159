# SPDX-License-Identifier: GPL-2.0-or-later
"""An infinid under a service manager that keeps its files: what systemd does of sd_notify(3), FDSTORE=1
and sd_listen_fds(3), for a machine that runs no systemd."""
import fcntl
import os
import signal
import socket
import subprocess
import threading

import infini

FIRST = 200                     # where files are kept, out of the way of those handed over


class Keeper(infini.Daemon):
    """Like Daemon; what it hands over goes to the next one, until release()."""

    def __init__(self, out, wanted, sections, general=""):
        super().__init__(out, wanted, sections, general)
        self.path = f"/run/keeper-{os.getpid()}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.lock = threading.Lock()
        self.files = []         # (name, descriptor)
        self.starts = 0
        self.is_ready = False
        threading.Thread(target=self.listen, daemon=True).start()

    # ---- the manager's side ----

    def listen(self):
        while True:
            data, fds, _, _ = socket.recv_fds(self.socket, 4096, 4)
            words = dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line)
            with self.lock:
                self.obey(words, fds)
            for fd in fds:
                os.close(fd)

    def obey(self, words, fds):
        name = words.get("FDNAME", "stored")
        if words.get("FDSTORE") == "1":
            self.files += [(name, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST)) for fd in fds]
        if words.get("FDSTOREREMOVE") == "1":
            for _, fd in [file for file in self.files if file[0] == name]:
                os.close(fd)
            self.files = [file for file in self.files if file[0] != name]
        if words.get("READY") == "1":
            self.is_ready = True

    def kept(self, what):
        """Names of the files that are kept and begin with @what."""
        with self.lock:
            return [name for name, _ in self.files if name.split(" ", 1)[0] == what]

    def release(self):
        """The unit has stopped: nothing is kept any more."""
        with self.lock:
            for _, fd in self.files:
                os.close(fd)
            self.files = []

    # ---- the daemon's ----

    def launch(self):
        """Start it, and wait for nothing."""
        with self.lock:
            files = list(self.files)
            self.is_ready = False
        env = dict(os.environ, NOTIFY_SOCKET=self.path, LISTEN_FDS=str(len(files)),
                   LISTEN_FDNAMES=":".join(name for name, _ in files))
        script = "".join(f"exec {3 + i}<&{fd} {fd}<&-\n" for i, (_, fd) in enumerate(files))
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", script + 'export LISTEN_PID=$$\nexec "$@"', "bash", infini.DAEMON,
                 "--foreground", "--config", self.config], env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, pass_fds=[fd for _, fd in files])
        self.starts += 1

    def start(self):
        self.launch()
        self.wait_ready()

    def wait_ready(self):
        infini.wait_until(f"infinid {self.starts} is ready (see {self.log})", self.ready, 300)

    def ready(self):
        return super().ready() and self.is_ready

    def kill(self):
        """SIGKILL, but not within fork(): there User-mode Linux 6.12 dies of it, in flush_tlb_mm(), which
        takes the mark that an interrupted dup_mmap() leaves for a mapping."""
        self.process.send_signal(signal.SIGSTOP)
        infini.wait_until("infinid is stopped", self.is_stopped)
        super().kill()

    def is_stopped(self):
        if self.process.poll() is not None:
            return True
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "T"

    def leave(self):
        """SIGTERM, as "systemctl restart" sends it first; one that has just begun ends of it."""
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(60) not in (0, -signal.SIGTERM):
            raise infini.Trouble(f"infinid ended with {self.process.returncode}; see {self.log}")

    def stop(self):
        self.leave()
        self.release()
