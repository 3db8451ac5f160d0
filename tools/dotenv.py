#!/usr/bin/env python3
"""Writes .env for docker-compose.yml with fresh secrets, readable by its owner alone. Leaves an existing one as it is."""
import os
import secrets
import sys
from pathlib import Path

ENV = Path(__file__).resolve().parent.parent / ".env"


def main() -> int:
    try:
        file = os.open(ENV, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return 0
    with os.fdopen(file, "w", encoding="utf-8") as out:
        out.write(
            "# Secrets of docker-compose.yml. Keep this file to yourself.\n"
            f"MIXDOWN_AUTH_KEYS=main:{secrets.token_urlsafe(36)}\n"
            f"TURN_SECRET={secrets.token_urlsafe(36)}\n"
            f"GRAFANA_PASSWORD={secrets.token_urlsafe(15)}\n"
            "# The address at which clients reach this host.\n"
            "MIXDOWN_PUBLIC_IP=127.0.0.1\n"
        )
    print(f"Wrote {ENV.name} with fresh secrets.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
