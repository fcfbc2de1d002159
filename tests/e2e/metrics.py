#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Prometheus scrapes infinid while llama.cpp generates on two vdevs, and answers. TAP."""
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import infini  # noqa: E402  pylint: disable=wrong-import-position
from guest import MODEL, ON_VDEV, check, generating, run  # noqa: E402
from tap import Tap, chosen  # noqa: E402  pylint: disable=wrong-import-position
from powercap import Powercap  # noqa: E402  pylint: disable=wrong-import-position

PACKAGING = os.path.join(infini.TREE, "packaging")
RULES = os.path.join(PACKAGING, "prometheus/infini.rules.yml")
DASHBOARD = os.path.join(PACKAGING, "grafana/infini.json")
DOCUMENT = os.path.join(infini.TREE, "docs/metrics.md")
CHURN = os.path.join(infini.TREE, "build/e2e/churn")
METRICS_PORT, PROMETHEUS_PORT = 19470, 19090
OURS = re.compile(r"\b((?:infini_|gen_ai_|vdev:|device:)[a-zA-Z0-9_:]+)")
JOULES = 'infini_device_energy_joules_total{device="cpu0"}'
TIMES = {"ttft": "time_to_first_token", "itl": "time_per_output_token"}
WINDOW_S = 40
WATTS = 40
# Rates are of one order only: Prometheus draws what it saw out to the ends of a window, and under
# emulation looks at the meter and at the vdevs may lie seconds apart. Counters are compared exactly.
WITHIN = 0.5
TIMES_OFF = 3


def generation(vdev, prompt):
    """A llama.cpp that generates until it is ended."""
    return subprocess.Popen(
        ["llama-completion", "-m", MODEL, "-no-cnv", "-p", prompt, "-n", "1000000", "-c", "256",
         "--context-shift", "--ignore-eos", "--temp", "0", "-t", "1", "-fit", "off", "--simple-io",
         "--no-warmup", "--log-disable", *ON_VDEV],
        env=infini.tenant(vdev), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)


def end(processes):
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(60)


def near(got, want, within, what):
    check(abs(got - want) <= within * abs(want), f"{what}: {got}, should be about {want}")


def roughly(got, want, what):
    check(want / TIMES_OFF <= got <= want * TIMES_OFF, f"{what}: {got}, should be about {want}")


class Prometheus:
    """A server that has been told where infinid is, and the packaged rules."""

    def __init__(self, out, seconds=5):
        self.url = f"http://127.0.0.1:{PROMETHEUS_PORT}/api/v1/"
        config = os.path.join(out, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"global: {{scrape_interval: {seconds}s, scrape_timeout: {seconds}s}}\n"
                       f"rule_files: [{RULES}]\n"
                       "scrape_configs:\n"
                       "  - job_name: infini\n"
                       f"    static_configs: [{{targets: ['127.0.0.1:{METRICS_PORT}']}}]\n")
        with open(os.path.join(out, "prometheus.log"), "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={config}", "--storage.tsdb.path=/tmp/prometheus",
                 f"--web.listen-address=127.0.0.1:{PROMETHEUS_PORT}", "--log.level=warn"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def get(self, path, **words):
        with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(words)}",
                                    timeout=60) as answer:
            return json.load(answer)["data"]

    def query(self, text, **more):
        """The series that a query gives; one that does not parse is trouble."""
        try:
            return self.get("query", query=text, **more)["result"]
        except urllib.error.HTTPError as error:
            # 503: it is still starting.
            if error.code == 503:
                raise
            raise infini.Trouble(f"{text}: {error.read().decode()}") from error

    def value(self, text, **more):
        """Of a query that gives one series."""
        series = self.query(text, **more)
        check(len(series) == 1, f"{text}: {len(series)} series")
        return float(series[0]["value"][1])

    def up(self):
        check(self.process.poll() is None, "prometheus ended; see prometheus.log")
        try:
            return [s["value"][1] for s in self.query("up")] == ["1"]
        except OSError:
            return False

    def wait(self):
        """Until it has scraped infinid; else why it could not."""
        try:
            infini.wait_until("Prometheus scrapes infinid", self.up, 180)
        except infini.Trouble as trouble:
            errors = [target["lastError"] for target in self.get("targets")["activeTargets"]]
            raise infini.Trouble(f"{trouble}: {errors}") from trouble

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


class World:
    """infinid, two tenants at work, and who watches them."""

    def __init__(self, out):
        self.out = out
        self.socket = "/tmp/metrics.sock"
        self.powercap = Powercap("/tmp/powercap", WATTS)
        self.daemon = infini.Daemon(
            out, ["cpu0", "null0"],
            "[backend ggml]\ndevices = cpu0\n[backend null]\nenabled = yes\n",
            f"metrics_port = {METRICS_PORT}\nmetrics_socket = {self.socket}\n"
            "ledger = /tmp/metrics.db\n")
        self.daemon.start()
        for name in ("a", "b"):
            infini.ctl("vdev", "create", name, "--device", "cpu0", "--memory", "256M")
        self.powercap.start()
        self.prometheus = Prometheus(out)
        self.load = [generation("a", "Once upon a time"), generation("b", "The little fox")]
        self.prometheus.wait()
        for name in ("a", "b"):
            generating(name)

    def page(self, *options):
        """What infinid says on its UNIX socket."""
        status, text, err = run(["curl", "-sS", "--fail", *options, "--unix-socket", self.socket,
                                 "http://infinid/metrics"])
        check(not status, f"curl: {err}")
        return text.decode()

    def stop(self):
        end(self.load)
        self.prometheus.stop()
        for name in ("a", "b"):
            infini.ctl("vdev", "delete", name, "--force")
        self.daemon.stop()
        self.powercap.close()


def counted(name, kind):
    return infini.vdevs()[name]["stats"][f"tokens_{kind}"]


def series(name, kind):
    return f'infini_vdev_{kind}_tokens_total{{vdev="{name}"}}'


def case_tokens(world):
    """PromQL: tokens per second of each vdev are what the module counted in that time"""
    prometheus, before, begin = world.prometheus, infini.vdevs(), time.time()
    time.sleep(WINDOW_S)
    after, stop = infini.vdevs(), time.time()
    for name in ("a", "b"):
        for kind in ("generated", "evaluated"):
            rise = after[name]["stats"][f"tokens_{kind}"] - before[name]["stats"][f"tokens_{kind}"]
            check(rise > 0, f"vdev {name}: nothing {kind} in {WINDOW_S} s")
            text = f"rate({series(name, kind)}[{WINDOW_S}s])"
            near(prometheus.value(text, time=stop), rise / (stop - begin), WITHIN, text)
    near(prometheus.value(f"rate({JOULES}[{WINDOW_S}s])", time=stop), WATTS, WITHIN, "watts")


def case_joules(world):
    """infinictl stats: the vdevs' joules per token are the watts of their device"""
    answer = json.loads(infini.ctl("stats", "--interval", "5s", "--metrics", world.socket, "--json"))
    joules = sum(vdev["joules_per_token"] * vdev["tokens_generated"] for vdev in answer["vdevs"])
    roughly(joules / (answer["interval_ns"] / 1e9), WATTS, "watts")
    answer = json.loads(infini.ctl("stats", "--interval", "1s", "--metrics", "/nowhere", "--json"))
    check(all(vdev["joules_per_token"] is None for vdev in answer["vdevs"]), "joules from nowhere")


def case_bracket(world):
    """what Prometheus has scraped lies between what the module counted before and after"""
    def scraped_at():
        return world.prometheus.value(f"timestamp({series('a', 'generated')})")
    for name in ("a", "b"):
        low, known = counted(name, "generated"), scraped_at()
        infini.wait_until("another scrape", lambda known=known: scraped_at() > known)
        got = world.prometheus.value(series(name, "generated"))
        high = counted(name, "generated")
        check(low <= got <= high, f"vdev {name}: {got}, the module {low} to {high}")


def case_promtool(world):
    """promtool accepts what infinid says, in the older format, and the packaged rules"""
    done = subprocess.run(["promtool", "check", "metrics"], check=False, text=True,
                          input=world.page("-H", "Accept: text/plain"), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    check(not done.returncode and not done.stdout.strip(), f"check metrics: {done.stdout}")
    status, text, err = run(["promtool", "check", "rules", RULES])
    check(not status and b"SUCCESS" in text, f"check rules: {text} {err}")


def case_socket(world):
    """the UNIX socket gives the same families, and nothing to other users"""
    text = world.page()
    check(text.endswith("\n# EOF\n"), "the page has no end")
    families = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    with urllib.request.urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics", timeout=60) as answer:
        tcp = set(re.findall(r"^# TYPE (\S+)", answer.read().decode(), re.MULTILINE))
    check(families and families == tcp, f"on one of them alone: {families ^ tcp}")
    status, _, err = run(["setpriv", "--reuid", "65534", "--clear-groups", "curl", "-sS",
                          "--unix-socket", world.socket, "http://infinid/metrics"])
    check(status, f"another user was answered: {err}")


def case_documented(world):
    """docs/metrics.md has every family with its type, and no other"""
    said = set(re.findall(r"^# TYPE (\S+) (\S+)$", world.page(), re.MULTILINE))
    with open(DOCUMENT, encoding="utf-8") as file:
        written = set(re.findall(r"^\| `(\w+)` \| (\w+) \|", file.read(), re.MULTILINE))
    check(said and said == written, f"in one of them alone: {said ^ written}")


def groups(prometheus):
    return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]


def case_rules(world):
    """the recording rules are evaluated and record what they say"""
    prometheus = world.prometheus
    names = [rule["name"] for rule in groups(prometheus)]
    check(names, "Prometheus has no rules")
    infini.wait_until("every rule has recorded", lambda: all(
        prometheus.query(name) for name in names), 60)
    bad = [rule for rule in groups(prometheus) if rule["health"] != "ok"]
    check(not bad, f"rules {bad}")
    pairs = {f'vdev:infini_{kind}_tokens:rate1m{{vdev="{name}"}}': series(name, kind)
             for name in ("a", "b") for kind in ("generated", "evaluated")}
    pairs['device:infini_power_watts:rate1m{device="cpu0"}'] = JOULES
    for record, counter in pairs.items():
        at = prometheus.value(f"timestamp({record})")
        near(prometheus.value(record, time=at),
             prometheus.value(f"rate({counter}[1m])", time=at), 0.01, record)
    check(not prometheus.query('device:infini_power_watts:rate1m{device="null0"}'),
          "a device that nothing measures has watts")


def dashboard_queries():
    """Every query of the dashboard, of its variables too, with all vdevs and devices chosen."""
    with open(DASHBOARD, encoding="utf-8") as file:
        board = json.load(file)
    texts = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            text = variable["query"]
            text = text["query"] if isinstance(text, dict) else text
            texts.append(re.fullmatch(r"label_values\((.+), *\w+\)", text)[1])
    return [re.sub(r"\$\{?\w+\}?", ".*", text) for text in texts]


def case_dashboard(world):
    """every query of the dashboard parses, names what exists and has an answer"""
    texts = dashboard_queries()
    check(len(texts) > 5, f"queries {texts}")
    known = world.prometheus.get("label/__name__/values")
    for text in texts:
        names = OURS.findall(re.sub(r'"[^"]*"', '""', text))
        check(names and all(name in known for name in names),
              f"{text}: no metric {[name for name in names if name not in known]}")
        check(world.prometheus.query(text), f"{text}: no series")


def case_final(world):
    """when the load has ended Prometheus has the module's counters, to the token"""
    end(world.load)
    infini.wait_until("the vdevs are idle", lambda: not any(
        infini.vdevs()[name]["stats"]["clients"] for name in ("a", "b")))
    want = {(name, kind): counted(name, kind) for name in ("a", "b")
            for kind in ("generated", "evaluated")}
    infini.wait_until("Prometheus has them", lambda: all(
        world.prometheus.value(series(*key)) == value for key, value in want.items()), 60)
    for name in ("a", "b"):
        stats = json.loads(infini.ctl("stats", name, "--json"))[0]["stats"]
        for times, family in TIMES.items():
            text = f'gen_ai_server_{family}_seconds_count{{vdev="{name}"}}'
            count = sum(stats[f"{times}_hist"])
            got = world.prometheus.value(text)
            check(got == count, f"{text}: {got}, the module {count}")
        check(sum(stats["ttft_hist"]) == stats["prompts"], f"{name}: {stats['prompts']} prompts")
        check(0 < sum(stats["itl_hist"]) < stats["tokens_generated"], f"{name}: no later tokens")


def case_churn(world):
    """two thousand vdevs made and deleted leave not a line behind"""
    before = [line.rpartition(" ")[0] for line in world.page().splitlines()]
    status, _, err = run([CHURN, "null0", "2000"])
    check(not status, f"status {status}: {err}")
    after = [line.rpartition(" ")[0] for line in world.page().splitlines()]
    check(before == after, f"lines {set(before) ^ set(after)}")


def main():
    cases = chosen(globals(), sys.argv[2:])
    if not cases:
        return
    tap = Tap()
    infini.load_module()
    world = World(sys.argv[1])
    for case in cases:
        tap.case(case, world)
    world.stop()
    infini.unload_module()
    tap.end()


if __name__ == "__main__":
    main()
