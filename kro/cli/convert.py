"""`kro convert`: manifests of kro 0.1 and before."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from kro.cli import options as arguments

DESCRIPTION = """\
Turn manifests of the former kind ResourceGroup (kro 0.1, and older ones with spec.definition) into
ResourceGraphDefinitions. Only what has to change is changed: comments, order and style stay. What
has no counterpart is left out and told, and so is what `kro validate` would say to the result; the
exit code is 1 if anything remains to be done by hand.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    arguments.add_files(parser)
    parser.add_argument(
        "-w", "--write", action="store_true", help="write the files instead of printing them"
    )
    arguments.add_schemas(parser)


def run(options: Namespace, parser: ArgumentParser) -> int:
    """Print or write the converted files; return 1 if something remains to be done."""
    names = arguments.inputs(options, "convert")

    from kro.cli.conversion import convert_text, verify, write_back
    from kro.cli.documents import read_documents
    from kro.cli.output import print_diagnostics, write
    from kro.cli.report import has_errors, in_order
    from kro.settings import UsageError

    documents, found = read_documents(names)
    if has_errors(found):
        print_diagnostics(found)
        return 1
    texts = list(dict.fromkeys(document.text for document in documents))
    if options.write and any(text.name == "<stdin>" for text in texts):
        raise UsageError("--write cannot write the standard input: leave it out")
    outputs: list[str] = []
    for text in texts:
        own = [document for document in documents if document.text is text]
        converted, notes = convert_text(text, own)
        remaining = verify(
            converted,
            crds=options.crds,
            gates=arguments.gates(options),
            fetch=arguments.schemas_of(options),
        )
        found += in_order(notes)
        found += in_order(remaining)
        outputs.append(converted.content)
        if options.write:
            write_back(text, converted)
    if not options.write:
        write("---\n".join(one if one.endswith("\n") else one + "\n" for one in outputs))
    print_diagnostics(found)
    return 1 if has_errors(found) else 0
