"""What the documents say, taken at its word: every fenced block is run or checked.

A fence of README.md and docs/ opens with a language, a class, and for most classes the name of
the file that a reader would save it as: ```` ```yaml rgd greeter.yaml ````. A fence whose class
does not stand in `blocks.CLASSES` fails the tests: nothing is printed that nobody tried.

- `blocks`: a page as data: its fences, headings, links, tables and code within sentences;
- `reader`: follows a page from top to bottom without a cluster, as a reader would;
- `transcript`: `console` blocks: commands, what they print, and how the two are compared;
- `manifests`: YAML of kinds that are not kro's own, and values of the chart;
- `commands`: command lines that are not run, taken apart;
- `messages`: texts of conditions, found in the code that makes them;
- `tables`: tables that list what the code knows better.

Commands for a cluster run in `test/e2e/test_documents.py`, on a control plane, in the order of the
page.
"""
