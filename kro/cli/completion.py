"""`kro completion`: scripts that complete the command line in a shell.

The scripts ask `kro __complete WORD...` for what may come next; files are left to the shell.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from kro.settings import UsageError

DESCRIPTION = """\
Print a script that completes kro's commands and options.

  bash:        source <(kro completion bash)
  zsh:         source <(kro completion zsh)
  fish:        kro completion fish | source
  powershell:  kro completion powershell | Out-String | Invoke-Expression
"""

_BASH = """\
_kro() {
    local IFS=$'\\n'
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    local word="${COMP_WORDS[COMP_CWORD]}"
    COMPREPLY=($(compgen -W "$(kro __complete "${words[@]}" 2>/dev/null)" -- "$word"))
    if [[ ${#COMPREPLY[@]} -eq 0 ]]; then
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}
complete -o filenames -F _kro kro
"""
_ZSH = """\
#compdef kro
_kro() {
    local -a found
    found=("${(@f)$(kro __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    found=(${found:#})
    if (( ${#found} )); then compadd -a found; fi
    _files
}
compdef _kro kro
"""
_FISH = """\
function __kro_words
    set -l words (commandline -opc) (commandline -ct)
    kro __complete $words[2..-1] 2>/dev/null
end
complete -c kro -a '(__kro_words)'
"""
_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName kro -ScriptBlock {
    param($word, $line, $position)
    $words = @($line.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
    if (-not $word) { $words += '""' }
    kro __complete @words 2>$null | Where-Object { $_ -like "$word*" } | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
    }
}
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("shell", nargs="?", metavar="|".join(SCRIPTS))


def run(options: Namespace, parser: ArgumentParser) -> int:
    """Print the script of a shell."""
    if options.shell is None:
        parser.print_help()
        return 0
    if options.shell not in SCRIPTS:
        raise UsageError(f"no script for {options.shell!r}: use one of {', '.join(SCRIPTS)}")
    sys.stdout.write(SCRIPTS[options.shell])
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """Return what the last word may become, given those before it."""
    from kro.cli.app import COMMANDS, parser_of

    *before, last = words or [""]
    plain = [word for word in before if not word.startswith("-")]
    name = next((name for size in (2, 1) if (name := " ".join(plain[:size])) in COMMANDS), "")
    if not name:
        following = {command.split()[len(plain)] for command in COMMANDS if _begins(command, plain)}
        return sorted(word for word in following if word.startswith(last))
    if name == "controller":
        return []
    parser, _ = parser_of(name)
    found = {flag for action in parser._actions for flag in action.option_strings}
    previous = before[-1] if before else ""
    chosen = parser.get_default("formats")
    if previous in ("-o", "--output", "--format") and chosen:
        return [word for word in chosen if word.startswith(last)]
    if name == "completion":
        found |= set(SCRIPTS)
    return sorted(word for word in found if word.startswith(last) and last)


def _begins(command: str, plain: Sequence[str]) -> bool:
    parts = command.split()
    return len(parts) > len(plain) and parts[: len(plain)] == list(plain)
