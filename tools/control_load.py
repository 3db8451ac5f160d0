#!/usr/bin/env python3
"""What a control plane under load costs a room: pictures per second without and with requests.

    mixdown serve --dev &
    python3 tools/control_load.py --room demo --rate 200 --seconds 20

Somebody has to watch the room, or nothing is composed: the server's own `demo` room is watched by who talks in it.
Prints both rates, the difference in percent, what the requests were answered and how long they took. Ends with 1 where the
room lost 1 % or more, or a request failed, and with 2 where the machine was too busy to tell: the room missed its rate without
any request. The room must be the only one, with one picture: the server counts those of all rooms.
"""

import argparse
import http.client
import json
import queue
import sys
import threading
import time

WORKERS = 8


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1:8080")
    parser.add_argument("--room", default="demo")
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    wanted = parser.parse_args()
    quiet = rate_during(wanted, lambda: time.sleep(wanted.seconds))
    answers, times = [], []
    busy = rate_during(wanted, lambda: ask(wanted, answers, times))
    times.sort()
    lost = 100 * (quiet - busy) / quiet if quiet else 100.0
    failed = [status for status in answers if status >= 400]
    print(f"pictures per second: {quiet:.2f} without, {busy:.2f} with {len(answers) / wanted.seconds:.0f} requests per second: {lost:+.2f} % lost")
    print(f"answers: {len(answers)}, failed: {len(failed)}, p50 {middle(times, 50):.1f} ms, p99 {middle(times, 99):.1f} ms")
    due = json.loads(get(wanted, f"/v1/rooms/{wanted.room}/views/main"))["canvas"]["fps"]
    if quiet < 0.99 * due:
        print(f"no measurement: {due} pictures per second were due without requests too")
        return 2
    return int(lost >= 1 or bool(failed))


def rate_during(wanted, work):
    before, start = ticks(wanted), time.monotonic()
    work()
    return (ticks(wanted) - before) / (time.monotonic() - start)


def ticks(wanted):
    """Pictures that were composed since the start."""
    lines = get(wanted, "/metrics").splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("mixdown_ticks_total"))


def get(wanted, path):
    connection = http.client.HTTPConnection(wanted.host, timeout=10)
    connection.request("GET", path)
    return connection.getresponse().read().decode()


def requests(room):
    """What an operator's program asks, over and over: most of it reads, a tenth of it changes the picture."""
    layout = f"/v1/rooms/{room}/views/main/layout"
    reads = [("GET", path, None) for path in (f"/v1/rooms/{room}", f"/v1/rooms/{room}/participants", f"/v1/rooms/{room}/views/main", layout)]
    changes = [("PATCH", layout, {"type": kind}) for kind in ("speaker", "grid")]
    preview = ("POST", f"{layout}/preview", {"type": "grid"})
    return [*reads * 2, changes[0], *reads * 2, changes[1], preview]


def ask(wanted, answers, times):
    """Sends at the wanted rate for the wanted time, on a few connections that stay open."""
    due = queue.Queue()
    workers = [threading.Thread(target=work, args=(wanted, due, answers, times)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    plan, start = requests(wanted.room), time.monotonic()
    for number in range(int(wanted.rate * wanted.seconds)):
        time.sleep(max(0.0, start + number / wanted.rate - time.monotonic()))
        due.put(plan[number % len(plan)])
    for _ in workers:
        due.put(None)
    for worker in workers:
        worker.join()


def work(wanted, due, answers, times):
    connection = http.client.HTTPConnection(wanted.host, timeout=10)
    while (request := due.get()) is not None:
        method, path, body = request
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        start = time.monotonic()
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": kind} if body else {})
        response = connection.getresponse()
        response.read()
        times.append(1000 * (time.monotonic() - start))
        answers.append(response.status)


def middle(sorted_times, percent):
    return sorted_times[min(len(sorted_times) - 1, len(sorted_times) * percent // 100)] if sorted_times else 0.0


if __name__ == "__main__":
    sys.exit(main())
