"""Processes that are scraped as Prometheus does, and the tests for promtool that their samples make: for record-alerts."""

import decimal
import http.client
import json
import os
import pathlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("PORTOLAN_BINARIES", ROOT / "target/release")) / "portolan"
SERVER = os.environ.get("PORTOLAN_TEST_POSTGRES") or sys.exit("record-alerts: run it by `make record-alerts`")
PSQL = os.environ["PORTOLAN_TEST_POSTGRES_BIN"] + "/psql"
STEP_S = 15
# Scrapes before the faults.
QUIET = 12
STOP = threading.Event()
PLACE = pathlib.Path(tempfile.mkdtemp(prefix="portolan-alerts-"))
PROCESSES, CHILDREN, ENDINGS = {}, [], []


def say(text):
    print(f"record-alerts: {text}", file=sys.stderr, flush=True)


def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, **options).stdout


def child(*command, **options):
    CHILDREN.append(subprocess.Popen([str(word) for word in command], **options))
    return CHILDREN[-1]


def free_port():
    """Below the ports that the system hands out by itself."""
    while True:
        with socket.socket() as probe:
            port = random.randrange(21000, 32000)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def every(seconds, work):
    """Repeats some work until the end; that it fails is what faults are for."""
    def loop():
        while not STOP.wait(seconds):
            try:
                work()
            except (OSError, ValueError, http.client.HTTPException):
                pass
    threading.Thread(target=loop, daemon=True).start()


class Process:
    """A process of Portolan with a database of its own, or that of another one."""

    def __init__(self, name, services=None, beside=None, before=(), data=None, **variables):
        self.name, self.samples, self.is_target, self.services = name, {}, True, services
        self.database = beside.database if beside else f"alerts_{os.getpid()}_{name}"
        if not beside:
            run(PSQL, SERVER, "-qc", f"CREATE DATABASE {self.database}")
        self.store = SERVER.rsplit("/", 1)[0] + "/" + self.database
        self.data = data or (beside.data if beside else PLACE / name)
        self.http, self.metrics = free_port(), free_port()
        self.grpc = variables.pop("grpc", None) or free_port()
        values = {"STORE__URL": self.store, "METRICS__ADDR": f"127.0.0.1:{self.metrics}",
                  "ADMIN__PASSWORD": "a password for half an hour", "TOKENS__MANAGEMENT_RATE_LIMIT": "0"} | variables
        self.log = open(PLACE / f"{name}.log", "w")
        some = ["--services", services] if services else []
        self.child = child(*before, BINARY, "up", *some, "--data-dir", self.data, "--http", f"127.0.0.1:{self.http}", "--grpc",
                           f"127.0.0.1:{self.grpc}", stdout=self.log, stderr=self.log,
                           env=os.environ | {"RUST_LOG": "warn"} | {f"PORTOLAN__{key}": str(v) for key, v in values.items()})
        PROCESSES[name] = self
        # One after the other, since a start is work; those that are parts need each other.
        if not services:
            self.wait()

    def wait(self):
        for _ in range(600):
            file = self.data / "admin-api-key"
            if file.exists() and "portolan ready" in (PLACE / f"{self.name}.log").read_text():
                self.key = file.read_text().strip()
                return
            time.sleep(0.2)
        sys.exit(f"record-alerts: {self.name} does not start:\n" + (PLACE / f"{self.name}.log").read_text()[-2000:])

    def post(self, path, body, key=None, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=timeout)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", path, data, {"x-api-key": key or self.key, "content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text

    def sql(self, text):
        return run(PSQL, self.store, "-qAtXc", text)

    def scrape(self, tick):
        if not self.is_target:
            return
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
                lines = answer.read().decode().splitlines()
        except (OSError, http.client.HTTPException):
            lines = None
        for line in ["up 1", *lines] if lines is not None else ["up 0"]:
            if line and line[0] != "#":
                series, value = line.rsplit(" ", 1)
                self.samples.setdefault(series, {})[tick] = value


class Proxy:
    """Stands before a server; its answers can be made late, and its connections be cut."""

    def __init__(self, address):
        self.address, self.delay_s, self.is_cut, self.open = address, 0, False, []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near = self.listener.accept()[0]
            if self.is_cut:
                near.close()
                continue
            far = socket.create_connection(self.address)
            self.open += [near, far]
            threading.Thread(target=self.pass_on, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(far, near, True), daemon=True).start()

    def pass_on(self, source, target, is_answer):
        try:
            while data := source.recv(65536):
                if is_answer and self.delay_s:
                    time.sleep(self.delay_s)
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        self.is_cut = True
        for end in self.open:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Fault:
    """What is done to which processes, and after how many minutes of it each alert fires. `held` continues the last samples."""

    def __init__(self, says, targets, begin, held=False, **alerts):
        self.says, self.targets, self.begin, self.held = says, targets, begin, held
        self.alerts = {f"Portolan{name}": minutes for name, minutes in alerts.items()}


def read_series(alerts):
    """The selectors of some alerts: names, and patterns of labels."""
    rules = re.split(r"- alert: ", (ROOT / "deploy/observability/alerts.yaml").read_text())[1:]
    found = []
    for rule in rules:
        name, text = rule.split("\n", 1)
        if name in alerts:
            text = text.split("labels: { severity")[0]
            for series, labels in re.findall(r"\b(portolan_\w+|process_\w+|up)\b(\{[^}]*\})?", text):
                found.append((series, [(label, value if how == "=~" else re.escape(value))
                                       for label, how, value in re.findall(r'(\w+)(=~?)"([^"]*)"', labels)]))
    return found


def is_read(series, selectors):
    name, labels = re.match(r"(\w+)(.*)", series).groups()
    values = dict(re.findall(r'(\w+)="([^"]*)"', labels))
    return any(name == of and all(re.fullmatch(p, values.get(label, "")) for label, p in patterns) for of, patterns in selectors)


def notation(values):
    """Samples in the words of promtool; None is a scrape without the series."""
    words, at = [], 0
    while at < len(values):
        first, end = values[at], at + 1
        if first is None:
            if at and values[at - 1] is not None:
                words.append("stale")
                at += 1
                continue
            while end < len(values) and values[end] is None:
                end += 1
            words.append(f"_x{end - at}" if end - at > 1 else "_")
        else:
            step = values[end] - first if end < len(values) and values[end] is not None else 0
            while end < len(values) and values[end] is not None and values[end] - values[end - 1] == step:
                end += 1
            if end - at < 3 and step:
                end = at + 1
            count = end - at - 1
            words.append(f"{first:f}" + (f"{step:+f}" if count and step else "") + (f"x{count}" if count else ""))
        at = end
    return " ".join(words)


def test_of(fault, started, ticks):
    """The test of a fault, of the series that its alerts read; counters that stand still count for nothing."""
    last = min(QUIET + 4 * max(fault.alerts.values()), 10**6 if fault.held else ticks - 1)
    selectors, lines = read_series(fault.alerts), []
    for process in fault.targets:
        for series, samples in sorted(process.samples.items()):
            if not is_read(series, selectors):
                continue
            values = [decimal.Decimal(samples[n]) if n in samples else None for n in range(min(last + 1, ticks))]
            if "_timestamp_seconds" in series:
                # In a test time begins with 0.
                values = [value and value - started for value in values]
            known = [value for value in values if value is not None]
            if not known or re.match(r"\w+_(total|bucket)\b", series) and len(set(values)) == 1:
                continue
            values += [values[-1]] * (last + 1 - len(values))
            name, labels = re.match(r"(\w+)\{?(.*?)\}?$", series).groups()
            labels = ", ".join([f'instance="{process.name}"', 'job="portolan"', *filter(None, [labels.replace('",', '", ')])])
            lines.append(f"      - {{ series: '{name}{{{labels}}}', values: \"{notation(values)}\" }}")
    out = [f'  - name: "{fault.says}"', "    interval: 15s", "    input_series:", *lines, "    promql_expr_test:"]
    for alert, minutes in fault.alerts.items():
        for tick, samples in ((QUIET - 1, "[]"), (QUIET + 4 * minutes, "[{ value: 1 }]")):
            expression = f'group(ALERTS{{alertstate="firing", alertname="{alert}"}})'
            out.append(f"      - {{ expr: '{expression}', eval_time: {tick * STEP_S}s, exp_samples: {samples} }}")
    return "\n".join(out)
