"""The command of an installed package: which program it runs."""

from __future__ import annotations

import sys

import pytest

from deocclusion_d2.cli import COMMANDS, main


def test_help_names_every_command(capsys):
    for arguments in ([], ["-h"], ["--help"]):
        main(arguments)
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines[2:-2]] == list(COMMANDS)


def test_an_unknown_command(capsys):
    with pytest.raises(SystemExit) as end:
        main(["convrt", "--help"])
    printed = capsys.readouterr()
    assert end.value.code == 2 and printed.out == ""
    assert printed.err.startswith("error: there is no command 'convrt'\n\nusage: deocclusion-d2 ")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_a_program(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["deocclusion-d2", name, "--help"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert capsys.readouterr().out.startswith(f"usage: deocclusion-d2 {name} ")
