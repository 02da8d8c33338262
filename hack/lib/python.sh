# Sourced by the scripts of hack/. Holds afterwards: `find_python` prints a Python that can run them.

python_fits() {
    # A pyenv shim exists for versions that are not active, so the only proof is to run it.
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    local candidate
    if [ -n "${KRO_PYTHON:-}" ]; then
        if python_fits "$KRO_PYTHON"; then
            echo "$KRO_PYTHON"
            return 0
        fi
        echo "KRO_PYTHON=$KRO_PYTHON does not run as Python 3.11 or newer" >&2
        return 1
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python3.14 python; do
        if command -v "$candidate" >/dev/null 2>&1 && python_fits "$candidate"; then
            echo "$candidate"
            return 0
        fi
    done
    echo "kro needs Python 3.11 or newer and found none on PATH" \
        "(python3 here: $(python3 --version 2>/dev/null || echo missing))." \
        "Install one, or name it: KRO_PYTHON=/path/to/python3.12" >&2
    return 1
}
