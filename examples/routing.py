#!/usr/bin/env python3
"""Least-cost routing: the dialplan of the context "outbound" from a table of prefixes, gateways and prices.

    routing.py --init RATES.csv             writes a small table
    routing.py RATES.csv [ENDPOINT]         answers

ENDPOINT is where the switch asks, tcp://127.0.0.1:5560. Put what is in routing.xml into event_zmq.conf.xml, and have
calls that are to leave the switch in the context "outbound". Of all rows whose prefix the number begins with, those
with the longest one count; the cheapest gateway of these is tried first, and the next one if it fails. A number that no
row is for is left to the switch's own files. Needs freeswitch_zmq.
"""

from __future__ import annotations

import argparse
import csv
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple, Optional
from xml.etree.ElementTree import Element

from freeswitch_zmq.client.service import Service, XmlRequest, action, dialplan, extension

ENDPOINT = "tcp://127.0.0.1:5560"
CONTEXT = "outbound"
GATEWAYS_AT_MOST = 3

# A number comes from whoever dials, and stands in a dial string, where all but digits could mean something.
NUMBER = re.compile(r"\+?([0-9]{3,20})")
PREFIX, GATEWAY = re.compile(r"[0-9]{0,20}"), re.compile(r"[A-Za-z0-9._-]+")

EXAMPLE = """prefix,gateway,price
49,north,0.0120
49,south,0.0100
4930,berlin,0.0040
1,west,0.0060
"""


class Rate(NamedTuple):
    """What a minute costs through a gateway. In this order they are tried."""

    price: Decimal
    gateway: str


class Routes:
    """The table, by prefix."""

    def __init__(self, path: Path) -> None:
        """Reads it.

        Raises:
            ValueError: a row is none; the text says which.
        """
        self._rates: dict[str, list[Rate]] = {}
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark at the beginning
            for number, row in enumerate(csv.DictReader(file), 2):
                try:
                    prefix, rate = _row(row)
                except (KeyError, AttributeError, ValueError, InvalidOperation):
                    right = "the columns are prefix, gateway and price, such as 49,north,0.0120"
                    raise ValueError(f"{path}, line {number}: {right}") from None
                self._rates.setdefault(prefix, []).append(rate)
        for rates in self._rates.values():
            rates.sort()

    def best(self, number: str) -> list[Rate]:
        """The gateways for a number, the cheapest first."""
        for length in range(len(number), -1, -1):
            rates = self._rates.get(number[:length])
            if rates:
                return rates[:GATEWAYS_AT_MOST]
        return []

    def find(self, asked: XmlRequest) -> Optional[Element]:
        """The handler: the dialplan for what was dialled, or None."""
        dialled = NUMBER.fullmatch(asked.destination_number)
        if asked.context != CONTEXT or dialled is None:
            return None
        number = dialled[1]
        rates = self.best(number)
        if not rates:
            return None
        # `|`: one after the other.
        dial = "|".join(f"sofia/gateway/{rate.gateway}/{number}" for rate in rates)
        actions = [action("set", "hangup_after_bridge=true"), action("bridge", dial)]
        return dialplan(CONTEXT, extension("least cost", actions))


def _row(row: dict[str, str]) -> tuple[str, Rate]:
    prefix, gateway, price = row["prefix"].strip(), row["gateway"].strip(), Decimal(row["price"].strip())
    if not PREFIX.fullmatch(prefix) or not GATEWAY.fullmatch(gateway) or not price.is_finite():
        raise ValueError
    return prefix, Rate(price, gateway)


def make_service(path: Path, endpoint: str = ENDPOINT) -> Service:
    """Answers for that table."""
    service = Service(endpoint)
    service.xml("dialplan")(Routes(path).find)
    return service


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description="least-cost routing from a table")
    parser.add_argument("--init", action="store_true", help="write a small table")
    parser.add_argument("rates", type=Path)
    parser.add_argument("endpoint", nargs="?", default=ENDPOINT)
    given = parser.parse_args()
    if given.init:
        with given.rates.open("x", encoding="utf-8") as file:  # an error if it is there
            file.write(EXAMPLE)
    else:
        make_service(given.rates, given.endpoint).run()


if __name__ == "__main__":
    main()
