"""What schemathesis cannot know: names of what exists, offers that are offers, and rules that no schema can say.

A value that fits its schema is replaced by the name of something that is there, so that requests come further than 404; one
that does not fit stays. `run.py` says in the environment where the server is.
"""
import itertools
import os
import re
import time
import tomllib
from pathlib import Path

import requests
import schemathesis

URL = os.environ["CONTRACT_URL"]
HEADERS = {"Authorization": value} if (value := os.environ.get("CONTRACT_AUTHORIZATION")) else {}
OFFER = tomllib.loads((Path(__file__).parent.parent / "bad_inputs" / "sdp.toml").read_text())["offer"].lstrip().replace("\n", "\r\n")
CANDIDATES = "a=ice-ufrag:4ZcD\r\na=ice-pwd:2/1muCWoOi3uLifh0NuRHlxy\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
TRICKLE = "application/trickle-ice-sdpfrag"
BODIES = {"application/sdp": OFFER, TRICKLE: CANDIDATES}

# People are in ROOM; SETTINGS has nobody, so that whatever its settings become keeps nobody out.
ROOM, SETTINGS = "contract", "contract-settings"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
SESSION = re.compile(r"pt_[0-9a-f]{32}")
KEY = re.compile(r"[!-~]([\t -~]*[!-~])?")
SETTINGS_PATH = "/v1/rooms/{room}"
FIXED = {"view": "main", "sidebar": "aside", "name": "contract", "webhook": "contract", "code": "validation", "part": "init-0.mp4"}

# Refusals of what a schema allows: rules between fields, and names that are free to choose but must exist.
BEYOND_CODES = {"bad-cursor", "gone"}
BEYOND = re.compile(
    r"bytes$|bytes, no control|has no effect|overlaps region|partly off the canvas|would lie off the canvas|regions or groups|another \w+ has this id"
    r"|is not more than|tiles in all|the seat is for one|/overlays/\d+/(text|image): is missing|above 0 and at most 1|: 0 to 1$|nothing in it can be seen"
    r"|no picture of this name|a picture is written as|sides of 16 to 3840|is at most 3840x2160|in one line|is not in the room"
    r"|is not a URL$|must begin with|must not carry|must write its host|names this machine|no address that may be asked|must be on port|must name an application"
    r"|needs the program|of an egress are enough|one of hls, whip|\(egress\."
    r"|no view named|is the view itself|is a type of layout by itself|with tracks each there is no composite|auth\.max_ttl_ms|/room: is missing; only admin"
    r"|exactly one of url, file and picture|/url: |/file: |/picture: |a picture makes no sound"
)


def call(method: str, path: str, **more) -> requests.Response:
    more["headers"] = HEADERS | more.get("headers", {})
    return requests.request(method, URL + path, timeout=10, **more)


def join(door: str) -> str:
    answer = call("POST", door, data=OFFER, headers={"Content-Type": "application/sdp"})
    answer.raise_for_status()
    return answer.headers["Location"].rsplit("/", 1)[1]


def state(session: str) -> requests.Response:
    return call("GET", f"/v1/rooms/{ROOM}/participants/{session}")


SESSIONS: dict[str, str] = {}
"The one behind each door."


def session(door: str) -> str:
    """It is made anew when it has ended."""
    if door not in SESSIONS or state(SESSIONS[door]).json().get("state") in (None, "disconnected"):
        SESSIONS[door] = join(door)
    return SESSIONS[door]


def exists(case: schemathesis.Case) -> None:
    """Makes what the request is about, where an earlier one took it away."""
    if case.operation.path == SETTINGS_PATH:
        call("PUT", f"/v1/rooms/{SETTINGS}", json={})
    elif case.method == "DELETE" and case.operation.path.endswith("/{view}"):
        case.path_parameters["view"] = "stage"
        call("PUT", f"/v1/rooms/{ROOM}/views/stage", json={})
    elif case.operation.path.endswith("/{sidebar}") and case.method != "PUT":
        call("PUT", f"/v1/rooms/{ROOM}/sidebars/aside", json={})
    elif case.operation.path == "/v1/layouts/{name}" and case.method != "PUT":
        call("PUT", "/v1/layouts/contract", json={})


RUNNING = ("starting", "active", "paused")


def recordings(*states: str) -> list[str]:
    return [item["id"] for item in call("GET", "/v1/recordings?limit=1000").json()["items"] if item["state"] in states]


def stop_recordings() -> None:
    """So that there is room for another, and some that have ended."""
    for recording in recordings(*RUNNING):
        call("POST", f"/v1/recordings/{recording}/stop")
    while recordings(*RUNNING, "stopping"):
        time.sleep(0.02)


def recording(ended: bool) -> str:
    """One that has ended, or one that runs; it is made where there is none."""
    found = recordings("complete", "failed") if ended else recordings(*RUNNING)
    if not found:
        answer = call("POST", f"/v1/rooms/{ROOM}/recordings", json={})
        answer.raise_for_status()
        found = [answer.json()["id"]]
        if ended:
            stop_recordings()
    return found[0]


PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg=="


def ingress() -> list[str]:
    return [item["id"] for item in call("GET", f"/v1/rooms/{ROOM}/ingress?limit=1000").json()["items"]]


def played() -> str:
    """Something that is played; it is made where there is none."""
    if found := ingress():
        return found[0]
    answer = call("POST", f"/v1/rooms/{ROOM}/ingress", json={"picture": PICTURE})
    answer.raise_for_status()
    return answer.json()["id"]


def egresses() -> list[str]:
    return [item["id"] for item in call("GET", "/v1/egress?limit=1000").json()["items"]]


def egress() -> str:
    """One that runs; it is made where there is none."""
    found = egresses()
    if not found:
        answer = call("POST", f"/v1/rooms/{ROOM}/egress", json={"outputs": [{"hls": {}}, {"images": {"interval_ms": 1000}}]})
        answer.raise_for_status()
        found = [answer.json()["id"]]
    return found[0]


def end_egresses() -> None:
    """So that there is room for another."""
    for one in egresses():
        call("DELETE", f"/v1/egress/{one}")


KEYS = itertools.count()


def unconditional(case: schemathesis.Case) -> None:
    """What If-Match and Idempotency-Key say at random would be all that an answer is about."""
    headers = case.headers
    given = headers.pop("If-Match", None)
    if case.media_type == TRICKLE and (given is not None or case.operation.path.startswith("/v1/")):
        headers["If-Match"] = state(case.path_parameters["id"]).headers.get("ETag", '"0"')
    if KEY.fullmatch(headers.get("Idempotency-Key", "")):
        headers["Idempotency-Key"] = f"contract-{next(KEYS)}"
    if isinstance(case.query.get("view"), str) and NAME.fullmatch(case.query["view"]):
        case.query["view"] = "main"


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict) -> None:
    if case.meta is not None and case.meta.phase.name == "stateful":
        # Names come from the answers before.
        return unconditional(case)
    path, parameters = case.operation.path, case.path_parameters
    fitting = {name for name, value in parameters.items() if isinstance(value, str) and (SESSION if name == "id" else NAME).fullmatch(value)}
    for name in fitting & FIXED.keys():
        parameters[name] = FIXED[name]
    if "room" in fitting:
        parameters["room"] = SETTINGS if path == SETTINGS_PATH else ROOM
    if fitting == set(parameters):
        exists(case)
    if "recording" in fitting:
        parameters["recording"] = recording(ended=case.method == "DELETE")
    if path.endswith("/recordings") and case.method == "POST" and len(recordings(*RUNNING)) > 4:
        stop_recordings()
    if "ingress" in fitting:
        parameters["ingress"] = played()
    if path.endswith("/ingress") and case.method == "POST" and len(found := ingress()) > 4:
        for each in found:
            call("DELETE", f"/v1/ingress/{each}")
    if "egress" in fitting:
        parameters["egress"] = egress()
    if path.endswith("/egress") and case.method == "POST" and len(egresses()) > 1:
        end_egresses()
    if {"room", "id"} <= fitting:
        door = path.split("/{id}")[0].replace("{room}", ROOM)
        parameters["id"] = session(door)
    unconditional(case)
    if "delivery" in fitting:
        waiting = call("GET", "/v1/webhooks/contract/deliveries?limit=1").json()["items"]
        parameters["delivery"] = waiting[0]["id"] if waiting else parameters["delivery"]


@schemathesis.serializer(*BODIES)
def as_text(context: schemathesis.SerializationContext, value: object) -> bytes:
    """Any text fits the schema of SDP: what should be taken is an offer, or candidates."""
    fits = context.case.meta is not None and context.case.meta.generation.mode.is_positive
    return (BODIES[context.case.media_type] if fits else str(value)).encode(errors="replace")


@schemathesis.hook
def filter_failure(context: schemathesis.HookContext, failure, case: schemathesis.Case, response) -> bool:
    """`False`: the refusal is right, the schema cannot know."""
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    problem = response.json()
    faults = [f"{fault['pointer']}: {fault['detail']}" for fault in problem.get("errors", [])]
    known = problem["type"].rsplit("/", 1)[1] in BEYOND_CODES
    return not (known or (faults and all(BEYOND.search(fault) for fault in faults)))


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict) -> None:
    """Every part of a layout is tried in one place, where it has an effect: all of them wherever a layout may stand would be most
    of the work, and most of it refused because of what stands beside."""
    schemas, paths = raw_schema["components"]["schemas"], raw_schema["paths"]
    parts, changes = (schemas[name]["properties"] for name in ("Layout", "LayoutPatch"))

    def only(properties: dict, *names: str) -> dict:
        return {"type": "object", "additionalProperties": False, "properties": {name: properties[name] for name in names}}

    def custom(part: str) -> dict:
        return {"type": "object", "additionalProperties": False, "required": ["type", part],
                "properties": {"type": {"const": "custom"}, part: parts[part] | {"minItems": 1}}}

    for name, schema in schemas.items():
        if name.startswith(("RoomSettings", "ViewSettings", "NewRoom", "NewView", "NewRecording", "RecordingFraming", "NewEgress")):
            layout = only(changes if name.endswith("Patch") else parts, "type", "gap")
            schema["properties"]["layout"] = {"oneOf": [layout, {"type": "null"}]}
    view = "/v1/rooms/{room}/views/{view}/layout"
    for path, method, kind, layout in (
        ("/v1/layouts/{name}", "put", "json", custom("groups")),
        (view, "put", "json", custom("regions")),
        # It draws regions that lie off the canvas too, and warns.
        (f"{view}/preview", "post", "json", only(parts, "type", "gap", "max_tiles")),
        (view, "patch", "merge-patch+json", only(changes, *(name for name in changes if name not in ("regions", "groups")))),
    ):
        paths[path][method]["requestBody"]["content"][f"application/{kind}"]["schema"] = layout
