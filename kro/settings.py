"""Flags of `kro controller`, read once into one frozen value.

The flags are written as Go programs write them: `-flag` or `--flag`, the value behind `=` or as
the next argument; a boolean takes its value behind `=` only. Durations are Go durations
(`300ms`, `1m30s`, `0`).

Source: spec "API surface and operations" §7.1, §11.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from kro.errors import KroError


class UsageError(KroError):
    """The command line is wrong: the message says which flag and why. Exit code 2."""


class HelpRequested(Exception):
    """The user asked for the usage text. Exit code 0."""


class FeatureGateError(KroError):
    """`--feature-gates` names an unknown gate or gives no boolean. Exit code 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureGates:
    """Switches for behaviour that is not on for everybody; all are alpha and off by default."""

    CELOmitFunction: bool = False
    InstanceConditionEvents: bool = False
    InstanceConditionMetrics: bool = False

    def as_dict(self) -> dict[str, bool]:
        """Return gate name → on or off."""
        return {gate.name: getattr(self, gate.name) for gate in fields(self)}


FOR_EVER_S: Final = 10 * 365 * 86_400.0
_DURATION_UNITS: Final = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0,
}  # fmt: skip
_DURATION: Final = re.compile(r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+", re.ASCII)
_DURATION_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_BOOLEANS: Final = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


def parse_duration(text: str) -> float:
    """Return a Go duration in seconds.

    Raises:
        ValueError: the text is no duration, or its unit is missing.
    """
    if text in {"0", "+0", "-0"}:
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError("not a duration such as 300ms, 1m30s or 0")
    total = sum(float(n) * _DURATION_UNITS[unit] for n, unit in _DURATION_PART.findall(text))
    return -total if text.startswith("-") else total


def parse_bool(text: str) -> bool:
    """Return the boolean that Go's flag package reads from `text`."""
    try:
        return _BOOLEANS[text]
    except KeyError:
        raise ValueError("not a boolean such as true or false") from None


def _parse_int(text: str) -> int:
    if not re.fullmatch(r"[-+]?\d+", text, re.ASCII):
        raise ValueError("not a whole number")
    return int(text)


def _parse_count(text: str) -> int:
    number = _parse_int(text)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def _parse_number(text: str) -> float:
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text, re.ASCII):
        raise ValueError("not a number")
    return float(text)


def _parse_log_level(text: str) -> int:
    """Return the verbosity: -1 only errors, -2 only what ends the process, 0 info, 1 debug, n."""
    named = {"debug": 1, "info": 0, "error": -1, "panic": -2}
    if text.lower() in named:
        return named[text.lower()]
    try:
        level = _parse_int(text)
    except ValueError:
        level = 0
    if level < 1:
        raise ValueError("not debug, info, error, panic or a whole number above 0")
    return level


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"not one of {', '.join(words)}")
        return text

    return parse


def _flag(name: str, default: Any, parse: Callable[[str], Any], kind: str, help_text: str) -> Any:
    return field(
        default=default, metadata={"flag": name, "parse": parse, "kind": kind, "help": help_text}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the controller process can be told. Units: seconds where a name ends in `_s`."""

    metrics_bind_address: str = _flag(
        "metrics-bind-address",
        ":8078",
        str,
        "string",
        "address of the metrics endpoint; 0 turns it off",
    )
    health_probe_bind_address: str = _flag(
        "health-probe-bind-address",
        ":8079",
        str,
        "string",
        "address of the probe endpoint; 0 or nothing turns it off",
    )
    pprof_bind_address: str = _flag(
        "pprof-bind-address",
        ":6060",
        str,
        "string",
        "accepted for compatibility; there is no profiling endpoint",
    )
    leader_elect: bool = _flag(
        "leader-elect",
        False,
        parse_bool,
        "",
        "elect a leader, so that one of several replicas is active",
    )
    leader_election_namespace: str = _flag(
        "leader-election-namespace",
        "",
        str,
        "string",
        "namespace of the lease; empty: the pod's own",
    )
    lease_duration_s: float = _flag(
        "leader-election-lease-duration",
        15.0,
        parse_duration,
        "duration",
        "how long others wait before they take over a lease that is not renewed",
    )
    renew_deadline_s: float = _flag(
        "leader-election-renew-deadline",
        10.0,
        parse_duration,
        "duration",
        "how long the leader tries to renew before it gives up",
    )
    retry_period_s: float = _flag(
        "leader-election-retry-period",
        2.0,
        parse_duration,
        "duration",
        "time between two tries to acquire or renew",
    )
    enable_controller_warmup: bool = _flag(
        "enable-controller-warmup",
        False,
        parse_bool,
        "",
        "fill the caches before leadership is won",
    )
    allow_crd_deletion: bool = _flag(
        "allow-crd-deletion",
        False,
        parse_bool,
        "",
        "delete the generated CRD, and with it all instances, with its definition",
    )
    graceful_shutdown_timeout_s: float = _flag(
        "graceful-shutdown-timeout",
        60.0,
        parse_duration,
        "duration",
        "how long running passes may take to end; negative: for ever",
    )
    definition_workers: int = _flag(
        "resource-graph-definition-concurrent-reconciles",
        8,
        _parse_count,
        "int",
        "definitions reconciled at once",
    )
    revision_workers: int = _flag(
        "graph-revision-concurrent-reconciles",
        8,
        _parse_count,
        "int",
        "revisions reconciled at once",
    )
    instance_workers: int = _flag(
        "dynamic-controller-concurrent-reconciles",
        16,
        _parse_count,
        "int",
        "instances reconciled at once, over all kinds",
    )
    retry_min_delay_s: float = _flag(
        "dynamic-controller-rate-limiter-min-delay",
        0.2,
        parse_duration,
        "duration",
        "delay after an instance's first failure",
    )
    retry_max_delay_s: float = _flag(
        "dynamic-controller-rate-limiter-max-delay",
        1000.0,
        parse_duration,
        "duration",
        "longest delay after failures",
    )
    retry_rate: int = _flag(
        "dynamic-controller-rate-limiter-rate-limit",
        10,
        _parse_count,
        "int",
        "retries a second, over all instances",
    )
    retry_burst: int = _flag(
        "dynamic-controller-rate-limiter-burst-limit",
        100,
        _parse_count,
        "int",
        "retries that may go out at once",
    )
    resync_period_s: int = _flag(
        "dynamic-controller-default-resync-period",
        36000,
        _parse_int,
        "int",
        "seconds between two visits of an instance without any event",
    )
    queue_max_retries: int = _flag(
        "dynamic-controller-default-queue-max-retries",
        20,
        _parse_int,
        "int",
        "accepted for compatibility; an instance that exists is never dropped from the queue",
    )
    instance_requeue_interval_s: float = _flag(
        "instance-requeue-interval",
        3.0,
        parse_duration,
        "duration",
        "safety net: a waiting instance is looked at again after this time; 0: only events",
    )
    client_qps: float = _flag(
        "client-qps",
        100.0,
        _parse_number,
        "float",
        "accepted for compatibility; the API server's own flow control decides",
    )
    client_burst: int = _flag(
        "client-burst", 150, _parse_int, "int", "accepted for compatibility, as client-qps"
    )
    max_collection_size: int = _flag(
        "rgd-max-collection-size", 1000, _parse_count, "int", "objects that one forEach may make"
    )
    max_collection_dimensions: int = _flag(
        "rgd-max-collection-dimension-size", 10, _parse_count, "int", "dimensions of one forEach"
    )
    max_graph_revisions: int = _flag(
        "rgd-max-graph-revisions",
        5,
        _parse_int,
        "int",
        "revisions kept of each definition; 0 keeps all",
    )
    progress_requeue_delay_s: float = _flag(
        "rgd-progress-requeue-delay",
        3.0,
        parse_duration,
        "duration",
        "safety net: a waiting definition is looked at again after this time",
    )
    feature_gates: str = _flag(
        "feature-gates", "", str, "string", "comma-separated Name=true|false"
    )
    kubeconfig: str = _flag("kubeconfig", "", str, "string", "path of a kubeconfig file")
    log_devel: bool = _flag(
        "zap-devel", True, parse_bool, "", "development defaults: console lines, debug level"
    )
    log_encoder: str = _flag(
        "zap-encoder", "", _one_of("json", "console"), "json|console", "form of a log line"
    )
    log_level: int | None = _flag(
        "zap-log-level",
        None,
        _parse_log_level,
        "level",
        "debug, info, error, panic or a verbosity above 0",
    )
    log_stacktrace_level: str = _flag(
        "zap-stacktrace-level",
        "",
        _one_of("info", "error", "panic"),
        "level",
        "level from which a stack trace is logged",
    )
    log_time_encoding: str = _flag(
        "zap-time-encoding", "rfc3339",
        _one_of("epoch", "millis", "nanos", "iso8601", "rfc3339", "rfc3339nano"), "encoding",
        "form of the time in a log line")  # fmt: skip

    @property
    def verbosity(self) -> int:
        """How much is logged: `kro.logs` says what each number means."""
        if self.log_level is not None:
            return self.log_level
        return 1 if self.log_devel else 0

    @property
    def traces_from(self) -> str:
        """The level, as `kro.logs` names it, from which on an exception comes with its trace."""
        given = self.log_stacktrace_level or ("warning" if self.log_devel else "error")
        return {"panic": "critical"}.get(given, given)

    @property
    def drain_s(self) -> float:
        """How long running passes may take to end when the process is told to stop."""
        limit_s = self.graceful_shutdown_timeout_s
        return limit_s if limit_s >= 0 else FOR_EVER_S

    def gates(self) -> FeatureGates:
        """Return the gates that `--feature-gates` switches on.

        `AllAlpha` and `AllBeta` switch all gates of their stage that are not named themselves.

        Raises:
            FeatureGateError: an unknown name, or a value that is no boolean.
        """
        known = [gate.name for gate in fields(FeatureGates)]
        given: dict[str, bool] = {}
        for part in filter(None, (p.strip() for p in self.feature_gates.split(","))):
            name, separator, value = part.partition("=")
            name = name.strip()
            if not separator:
                raise FeatureGateError(f"feature gate {name}: write {name}=true or {name}=false")
            if name not in known and name not in {"AllAlpha", "AllBeta"}:
                raise FeatureGateError(
                    f"unknown feature gate {name}; known are AllAlpha, AllBeta, {', '.join(known)}"
                )
            try:
                given[name] = parse_bool(value.strip())
            except ValueError as error:
                raise FeatureGateError(f"feature gate {name}: {value!r} is {error}") from error
        alpha = given.pop("AllAlpha", False)
        given.pop("AllBeta", None)
        return FeatureGates(**{name: given.get(name, alpha) for name in known})


def parse_flags(arguments: Sequence[str]) -> Settings:
    """Return the settings that the command line asks for.

    Raises:
        HelpRequested: `-h`, `-help` or `--help` stands there.
        UsageError: an unknown flag, a bad value, or something that is no flag.
    """
    flags = {f.metadata["flag"]: f for f in fields(Settings)}
    values: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("-") or argument in {"-", "--"}:
            raise UsageError(f"unexpected argument {argument!r}: only flags are taken")
        name, separator, text = argument.lstrip("-").partition("=")
        if name in {"h", "help"}:
            raise HelpRequested
        if name not in flags or argument.startswith("---"):
            raise UsageError(f"flag provided but not defined: -{name}")
        spec: Mapping[str, Any] = flags[name].metadata
        if not separator:
            if spec["parse"] is parse_bool:
                text = "true"
            elif rest:
                text = rest.pop(0)
            else:
                raise UsageError(f"flag needs an argument: -{name}")
        try:
            values[flags[name].name] = spec["parse"](text)
        except ValueError as error:
            raise UsageError(f"invalid value {text!r} for flag -{name}: {error}") from error
    return Settings(**values)


def usage() -> str:
    """Return the text of `kro controller --help`."""
    lines = ["Usage: kro controller [flags]", "", "Flags:"]
    for spec in fields(Settings):
        meta = spec.metadata
        kind = f" {meta['kind']}" if meta["kind"] else ""
        default = _shown(spec.default, meta["parse"])
        suffix = f" (default {default})" if default else ""
        lines += [f"  --{meta['flag']}{kind}", f"        {meta['help']}{suffix}"]
    return "\n".join(lines)


def _shown(default: object, parse: Callable[[str], Any]) -> str:
    if default is None or default == "":
        return ""
    if parse is parse_duration and isinstance(default, float):
        return f"{default * 1000:g}ms" if default < 1 else f"{default:g}s"
    return str(default).lower() if isinstance(default, bool) else str(default)
