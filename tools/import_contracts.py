"""A contract of our own for import-linter: which packages from outside may be imported at all."""

from __future__ import annotations

import sys
from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

# Python 3.9 does not know the names of its own standard library; there this contract is not checked.
_STANDARD = frozenset(getattr(sys, "stdlib_module_names", ()))


class OnlyExternal(Contract):
    """Holds when nothing below `source_packages` imports what is not ours, allowed or standard library.

    import-linter's own `forbidden` lists what may not be imported and so lets everything else in.
    """

    type_name = "only_external"

    source_packages = fields.ListField(subfield=fields.StringField())
    allowed = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 - import-linter's signature
        """Collect the offending imports."""
        fine = _STANDARD | set(cast("list[str]", self.allowed))
        offences = []
        for package in cast("list[str]", self.source_packages):
            for importer in sorted({package} | graph.find_descendants(package)):
                for imported in sorted(graph.find_modules_directly_imported_by(importer)):
                    outside = graph.is_module_squashed(imported)
                    if _STANDARD and outside and imported.split(".")[0] not in fine:
                        offences.append(f"{importer} imports {imported}")
        return ContractCheck(kept=not offences, metadata={"offences": offences})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the offending imports."""
        for offence in check.metadata["offences"]:
            output.print_error(f"{offence}, which is neither ours, nor allowed, nor in the standard library.")
