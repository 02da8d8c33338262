"""Flags are read as Go programs read them."""

from __future__ import annotations

import pytest

from kro.settings import (
    FeatureGateError,
    FeatureGates,
    HelpRequested,
    Settings,
    UsageError,
    parse_duration,
    parse_flags,
    usage,
)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], Settings(), id="no flag gives the defaults"),
        pytest.param(["-metrics-bind-address", ":1"], Settings(metrics_bind_address=":1"),
                     id="one dash and the value behind it"),
        pytest.param(["--metrics-bind-address=0"], Settings(metrics_bind_address="0"),
                     id="two dashes and an equals sign"),
        pytest.param(["--leader-elect"], Settings(leader_elect=True), id="a bare boolean is true"),
        pytest.param(["--leader-elect=false", "--allow-crd-deletion=T"],
                     Settings(allow_crd_deletion=True), id="a boolean takes its value behind ="),
        pytest.param(["--instance-requeue-interval=1m30s"],
                     Settings(instance_requeue_interval_s=90.0), id="a Go duration"),
        pytest.param(["--zap-log-level", "3"], Settings(log_level=3), id="a verbosity"),
        pytest.param(["--zap-log-level=error"], Settings(log_level=-1), id="a level by name"),
    ],
)  # fmt: skip
def test_flags_become_settings(arguments: list[str], expected: Settings) -> None:
    """Spec §7.1: `-flag` and `--flag`, values as next argument or after `=`."""
    assert parse_flags(arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        pytest.param(["--nope"], "flag provided but not defined: -nope", id="unknown flag"),
        pytest.param(["--client-burst"], "flag needs an argument: -client-burst", id="no value"),
        pytest.param(["--client-burst=x"], "invalid value 'x' for flag -client-burst", id="bad"),
        pytest.param(["--graceful-shutdown-timeout=5"], "not a duration", id="unit is missing"),
        pytest.param(["--leader-elect", "true"], "unexpected argument 'true'", id="positional"),
        pytest.param(["--dynamic-controller-concurrent-reconciles=0"], "at least 1", id="none"),
        pytest.param(["--zap-log-level=0"], "whole number above 0", id="verbosity zero"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(arguments: list[str], fragment: str) -> None:
    """Unknown flags and bad values are usage errors that name the flag."""
    with pytest.raises(UsageError, match=fragment):
        parse_flags(arguments)


@pytest.mark.parametrize("flag", ["-h", "--help", "-help"])
def test_help_is_a_request_and_not_an_error(flag: str) -> None:
    """`-h` ends with the usage text, which names every flag."""
    with pytest.raises(HelpRequested):
        parse_flags(["--leader-elect", flag])
    assert "--instance-requeue-interval duration" in usage()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("300ms", 0.3), ("1m30s", 90.0), ("-1s", -1.0), ("1.5h", 5400.0), ("2us", 2e-6)],
)
def test_durations_are_go_durations(text: str, seconds: float) -> None:
    """A number with a unit, several in a row, or zero."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "1d", "s", "1 s", "+", "٣s"])
def test_other_texts_are_no_durations(text: str) -> None:
    """A unit is required; days do not exist; digits are ASCII."""
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_all_alpha_switches_what_is_not_named() -> None:
    """Spec §11.1: a gate that is named itself wins over its stage."""
    gates = Settings(feature_gates="AllAlpha=true, CELOmitFunction=false").gates()

    assert gates == FeatureGates(
        CELOmitFunction=False, InstanceConditionEvents=True, InstanceConditionMetrics=True
    )


@pytest.mark.parametrize("text", ["Nope=true", "CELOmitFunction", "CELOmitFunction=maybe"])
def test_unknown_or_malformed_gates_are_refused(text: str) -> None:
    """A gate that cannot be understood must not be ignored."""
    with pytest.raises(FeatureGateError):
        Settings(feature_gates=text).gates()


@pytest.mark.parametrize(
    ("arguments", "verbosity", "traces_from"),
    [
        pytest.param([], 1, "warning", id="development is the default of the binary"),
        pytest.param(["--zap-devel=false"], 0, "error", id="production, as the chart has it"),
        pytest.param(["--zap-log-level=3"], 3, "warning", id="a verbosity wins"),
        pytest.param(["--zap-log-level=error"], -1, "warning", id="errors only"),
        pytest.param(["--zap-stacktrace-level=panic"], 1, "critical", id="no traces of errors"),
    ],
)
def test_log_flags_default_each_other(
    arguments: list[str], verbosity: int, traces_from: str
) -> None:
    """Spec §7.1: what `--zap-devel` means for the level and for traces."""
    settings = parse_flags(arguments)

    assert (settings.verbosity, settings.traces_from) == (verbosity, traces_from)


def test_the_gates_are_those_of_the_reference_and_off() -> None:
    """Spec §11.1: three gates, all alpha, all off by default."""
    assert Settings().gates().as_dict() == {
        "CELOmitFunction": False,
        "InstanceConditionEvents": False,
        "InstanceConditionMetrics": False,
    }


def test_a_negative_drain_time_is_for_ever() -> None:
    """As in controller-runtime: passes are not cut off at all."""
    assert parse_flags(["--graceful-shutdown-timeout=-1s"]).drain_s > 365 * 86_400
    assert parse_flags(["--graceful-shutdown-timeout=5s"]).drain_s == 5
