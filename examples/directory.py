#!/usr/bin/env python3
"""The users of a switch, from a database.

    directory.py --init DATABASE            makes one with the users 1000 and 1001 of example.com; shows their passwords
    directory.py DATABASE [ENDPOINT]        answers

ENDPOINT is where the switch asks, tcp://127.0.0.1:5559. Put what is in directory.xml into event_zmq.conf.xml. In the
database are no passwords but their hashes, as SIP needs them; these are to be kept as secret as passwords. The domain
is the realm that phones are told. Needs freeswitch_zmq.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Optional
from xml.etree.ElementTree import Element

from freeswitch_zmq.client.service import Service, XmlRequest, a1_hash, directory, user

ENDPOINT = "tcp://127.0.0.1:5559"
DOMAIN = "example.com"

# As in FreeSWITCH's own directory: `user/1000` rings where that user has registered.
DIAL_STRING = "${sofia_contact(${dialed_user}@${dialed_domain})}"

# A database that somebody writes to is waited for so long; less than the timeout-ms of directory.xml.
DATABASE_SECONDS = 0.5

TABLE = """CREATE TABLE users (
    name TEXT NOT NULL, domain TEXT NOT NULL, a1_hash TEXT NOT NULL,
    context TEXT NOT NULL, caller_id_name TEXT NOT NULL,
    PRIMARY KEY (domain, name)
)"""


class Users:
    """Those in a database.

    Raises:
        sqlite3.DatabaseError: there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._row("", "")  # said now, and not at the first lookup

    def find(self, asked: XmlRequest) -> Optional[Element]:
        """The handler: the user whom FreeSWITCH looks for, or None."""
        if not asked.user:  # it looks for gateways or addresses in a domain; there are none here
            return None
        row = self._row(asked.domain, asked.user)
        if row is None:
            return None
        hashed, context, caller_id_name = row
        variables = {
            "user_context": context,
            "effective_caller_id_name": caller_id_name,
            "effective_caller_id_number": asked.user,
        }
        found = user(asked.user, a1_hash=hashed, variables=variables)
        return directory(asked.domain, found, params={"dial-string": DIAL_STRING})

    def _row(self, domain: str, name: str) -> Optional[tuple[str, str, str]]:
        # A connection each time: handlers run in threads, and opening a file takes no time.
        with closing(
            sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", DATABASE_SECONDS, uri=True)
        ) as database:
            found: Optional[tuple[str, str, str]] = database.execute(
                "SELECT a1_hash, context, caller_id_name FROM users WHERE domain = ? AND name = ?", (domain, name)
            ).fetchone()
            return found


def create(path: Path, passwords: dict[str, str]) -> None:
    """A database with these users of example.com.

    Raises:
        FileExistsError: there is such a file.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))  # for nobody else's eyes
    rows = [
        (name, DOMAIN, a1_hash(name, DOMAIN, password), "default", f"Extension {name}")
        for name, password in passwords.items()
    ]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(TABLE)
        database.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?)", rows)


def make_service(path: Path, endpoint: str = ENDPOINT) -> Service:
    """Answers for that database."""
    service = Service(endpoint)
    service.xml("directory")(Users(path).find)
    return service


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description="the users of a switch, from a database")
    parser.add_argument("--init", action="store_true", help="make the database, with two users")
    parser.add_argument("database", type=Path)
    parser.add_argument("endpoint", nargs="?", default=ENDPOINT)
    given = parser.parse_args()
    if given.init:
        passwords = {name: secrets.token_urlsafe(12) for name in ("1000", "1001")}
        create(given.database, passwords)
        for name, password in passwords.items():
            print(f"{name}@{DOMAIN} {password}")
        return
    try:
        service = make_service(given.database, given.endpoint)
    except sqlite3.DatabaseError as error:
        sys.exit(f"{given.database}: {error}; directory.py --init {given.database} makes a database of users")
    service.run()


if __name__ == "__main__":
    main()
