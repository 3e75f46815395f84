"""``eyrie completion``: what bash really completes with it."""

import subprocess

import pytest

from cluster.cli.main import COMMANDS, main

# Completes the line that ends with the last word, as bash does at a press of the key.
PRESS = """
eval "$(cat)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"$(complete -p eyrie | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(script: str, *words: str) -> set[str]:
    ran = subprocess.run(
        ["bash", "-c", PRESS, "bash", "eyrie", *words],
        input=script,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ran.stdout.split())


def test_bash_completes_every_command_and_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert completed(script, "") >= set(COMMANDS)
    assert completed(script, "dead-") == {"dead-letters"}
    assert completed(script, "dead-letters", "") >= {"list", "show", "replay", "discard"}
    assert completed(script, "dead-letters", "list", "--st") == {"--status"}
    assert "new" in completed(script, "dead-letters", "list", "--status", "")


def test_there_is_one_for_zsh(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    assert capsys.readouterr().out.startswith("#compdef eyrie")
