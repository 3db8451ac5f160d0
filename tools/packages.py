#!/usr/bin/env python3
"""Sees to the system packages that Mixdown needs: `packages.py build|test [--check]`.

Silent when nothing is missing. On Debian and Ubuntu what is missing is installed with apt-get, as root or through sudo,
and said aloud first; elsewhere the names are printed and the program stops. It never asks a question. `--check` only looks.
Exit: 0 all there, 1 something required is missing.
"""
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """One thing to have. It is there when one of `commands` runs, `library` is known to pkg-config, or the Debian package is installed."""

    package: str
    commands: tuple[str, ...] = ()
    library: str = ""
    required: bool = False
    elsewhere: str = ""
    "What other systems call it, where that differs: dnf, pacman and brew names in this order."


X86 = os.uname().machine in ("x86_64", "amd64", "i686")

BUILD = [
    Need("build-essential", ("c++",), required=True, elsewhere="gcc-c++ make, base-devel, (xcode-select --install)"),
    Need("pkg-config", ("pkg-config", "pkgconf"), required=True, elsewhere="pkgconf, pkgconf, pkgconf"),
    Need("cmake", ("cmake",), required=True),
    Need("libvpx-dev", library="vpx", required=True, elsewhere="libvpx-devel, libvpx, libvpx"),
]
if X86:
    # Without it OpenH264 builds without its assembly and nobody is told: encoding then costs 2.4 times as much.
    BUILD.append(Need("nasm", ("nasm",), required=True))
TEST = [
    Need("chromium", ("chromium", "chromium-browser", "google-chrome")),
    Need("firefox-esr", ("firefox-esr", "firefox")),
    Need("ffmpeg", ("ffmpeg",)),
    Need("nodejs", ("node",)),
    Need("npm", ("npm",)),
    Need("python3-venv"),
    Need("pulseaudio", ("pulseaudio",)),
    Need("coturn", ("turnserver",)),
    Need("gstreamer1.0-tools", ("gst-launch-1.0",)),
    Need("gstreamer1.0-plugins-base"),
    Need("gstreamer1.0-plugins-good"),
    Need("gstreamer1.0-plugins-bad"),
    Need("gstreamer1.0-plugins-ugly"),
    Need("gstreamer1.0-nice"),
    Need("gstreamer1.0-libav"),
    Need("gir1.2-gst-plugins-base-1.0"),
    Need("gir1.2-gst-plugins-bad-1.0"),
    Need("python3-gi"),
    Need("iproute2", ("ip",)),
    Need("nftables", ("nft",)),
    Need("fonts-noto-core", elsewhere="google-noto-sans-fonts, noto-fonts, font-noto-sans"),
    Need("fonts-noto-cjk"),
]
GROUPS = {"build": BUILD, "test": BUILD + TEST}


def run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def is_there(need: Need) -> bool:
    if any(shutil.which(command) for command in need.commands):
        return True
    if need.library:
        return bool(shutil.which("pkg-config")) and run("pkg-config", "--exists", need.library).returncode == 0
    if need.package == "python3-venv":
        return run(sys.executable, "-c", "import ensurepip, venv").returncode == 0
    if shutil.which("dpkg-query"):
        return run("dpkg-query", "-W", "-f=${Status}", need.package).stdout == "install ok installed"
    # Nothing to ask: fonts and plugins are the tests' own business to miss.
    return not need.required


def is_offered(need: Need) -> bool:
    """Whether apt can install it. Ubuntu's browser packages are stubs for snaps, which do not run in containers."""
    for line in run("apt-cache", "policy", need.package).stdout.splitlines():
        if line.strip().startswith("Candidate:"):
            return "(none)" not in line and "snap" not in line
    return False


def apt_get() -> list[str] | None:
    """How to call apt-get here, or None where it cannot be."""
    if not shutil.which("apt-get"):
        return None
    options = ["apt-get", "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    if os.geteuid() == 0:
        return environment + options
    # Without a terminal nobody could type sudo's password.
    sudo = ["sudo"] if sys.stdin.isatty() else ["sudo", "-n"]
    return sudo + environment + options if shutil.which("sudo") else None


def install(missing: list[Need]) -> None:
    apt = apt_get()
    if apt is None:
        return
    print(f"Missing: {', '.join(need.package for need in missing)}. Installing with {'sudo ' if os.geteuid() else ''}apt-get.", flush=True)
    if subprocess.run(apt + ["update"], stdout=subprocess.DEVNULL, check=False).returncode != 0:
        print("apt-get update failed; going on with the package lists at hand.", flush=True)
    offered = [need for need in missing if is_offered(need)]
    required = [need.package for need in offered if need.required]
    wanted = [need.package for need in offered if not need.required]
    for packages in filter(None, (required, wanted)):
        subprocess.run(apt + ["install", *packages], stdout=subprocess.DEVNULL, check=False)


def explain(missing: list[Need]) -> None:
    names = " ".join(need.package for need in missing)
    print(f"Missing, please install (Debian and Ubuntu names): {names}", file=sys.stderr)
    for position, manager in enumerate(("dnf", "pacman", "brew")):
        if shutil.which(manager):
            words = [need.elsewhere.split(", ")[position] if need.elsewhere else need.package for need in missing]
            print(f"With {manager}: {' '.join(words)}", file=sys.stderr)
    if any(need.package == "nasm" for need in missing):
        print("nasm is not optional: without it H.264 loses its assembly and encoding costs 2.4 times as much.", file=sys.stderr)


def main() -> int:
    arguments = [word for word in sys.argv[1:] if not word.startswith("-")]
    if len(arguments) != 1 or arguments[0] not in GROUPS:
        print(__doc__, file=sys.stderr)
        return 2
    needs = GROUPS[arguments[0]]
    missing = [need for need in needs if not is_there(need)]
    if missing and "--check" not in sys.argv:
        install(missing)
        missing = [need for need in missing if not is_there(need)]
    required = [need for need in missing if need.required]
    optional = [need.package for need in missing if not need.required]
    if optional:
        print(f"Not available here, what needs it is left out: {' '.join(optional)}", flush=True)
    if required:
        explain(required)
    if not shutil.which("cargo"):
        print("Missing: Rust 1.95 or newer (https://rustup.rs).", file=sys.stderr)
        return 1
    return 1 if required else 0


if __name__ == "__main__":
    sys.exit(main())
