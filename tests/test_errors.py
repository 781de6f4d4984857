"""What the tools say where something is wrong: one line and status 1."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from deocclusion_d2.errors import (
    INTERRUPTED,
    READER_GONE,
    UserError,
    one_line_errors,
    printable,
    printable_text,
)


class Broken(Dataset):
    """Its only sample cannot be read."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> torch.Tensor:
        raise self.error


def said(capsys) -> str:
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "error, line",
    [
        (UserError("--scale 0: give more"), "--scale 0: give more"),
        (
            UserError("two\n  lines\x1b[2J and \u202egpj.exe"),
            "two lines\\x1b[2J and \\u202egpj.exe",
        ),
        (NotADirectoryError(20, "Not a directory", "a/b.json"), "a/b.json: Not a directory"),
        (
            OSError(18, "Invalid cross-device link", "a", None, "b"),
            "a -> b: Invalid cross-device link",
        ),
        # Detectron2 and fvcore raise it with a sentence of their own.
        (FileNotFoundError("no weights here"), "no weights here"),
        # What writing on a full disk raises: the system does not say which file.
        (OSError(28, "No space left on device"), "No space left on device"),
        (
            OSError(30, "Read-only file system", b"/r/caf\xe9"),
            "/r/caf\\udce9: Read-only file system",
        ),
        (MemoryError(), "out of memory"),
        (MemoryError("Unable to allocate 7 GiB"), "out of memory: Unable to allocate 7 GiB"),
        (
            RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
            "out of memory: DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.",
        ),
        (UserError("photo 猫é.jpg, עברית, 👩‍👩‍👧: fine"), "photo 猫é.jpg, עברית, 👩‍👩‍👧: fine"),
    ],
    ids=range(11),
)
def test_the_message_alone(capsys, error, line):
    with pytest.raises(SystemExit) as stopped, one_line_errors():
        raise error
    assert stopped.value.code == 1
    assert said(capsys) == f"error: {line}\n"


@pytest.mark.parametrize(
    "error, line",
    [
        (UserError("0.png: it is no image"), "0.png: it is no image"),
        (UserError("0.png: ValueError: two\nlines"), "0.png: ValueError: two lines"),
        (
            FileNotFoundError(2, "No such file or directory", "0.png"),
            "0.png: No such file or directory",
        ),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
    ids=range(4),
)
def test_what_a_worker_of_a_loader_raises(capsys, error, line):
    with pytest.raises(SystemExit), one_line_errors():
        list(DataLoader(Broken(error), num_workers=1))
    assert said(capsys) == f"error: {line}\n"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        OSError("the disk is gone"),
        OSError(9, "Bad file descriptor"),
        RuntimeError("a bug"),
        BrokenPipeError(32, "Broken pipe"),  # not of what the tool prints
    ],
)
def test_what_nobody_foresaw_keeps_its_traceback(error):
    with pytest.raises(type(error)), one_line_errors():
        raise error


@pytest.mark.parametrize(
    "name, shown",
    [
        ("猫 é ß 日本 नमस्ते 👩‍👩‍👧 a\\b", "猫 é ß 日本 नमस्ते 👩‍👩‍👧 a\\b"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m\x7f\x00", r"\x9b31m\x7f\x00"),
        (
            "a\u202egpj\u202c\u2066\u2069\u200e\u200f\u061c",
            r"a\u202egpj\u202c\u2066\u2069\u200e\u200f\u061c",
        ),
        ("a\nb\tc\rd\u2028e\x85f", r"a\nb\tc\rd\u2028e\x85f"),
        ("caf\udce9", r"caf\udce9"),
    ],
)
def test_names_are_printable(name, shown):
    assert printable(name) == shown
    kept = name.replace("\n", "").replace("\t", "")
    assert printable_text(kept) == printable(kept)
    assert printable_text("a\n\tb") == "a\n\tb"


def test_names_in_log_lines(caplog):
    ours = logging.getLogger("deocclusion_d2.data")
    theirs = logging.getLogger("detectron2.data")
    name = "\x1b[31m\x1b[2J\u202e猫"
    with caplog.at_level("INFO"), one_line_errors():
        ours.info("one %s of\n%d", name, 3)
        theirs.info("\x1b[36m| %s |\x1b[0m", name)  # Detectron2 colours its tables
    ours.warning(name)
    first, second, after = caplog.records
    assert first.getMessage() == "one \\x1b[31m\\x1b[2J\\u202e猫 of\n3"
    assert second.getMessage() == "\x1b[36m| \x1b[31m\\x1b[2J\\u202e猫 |\x1b[0m"
    assert after.getMessage() == name


def test_names_in_what_is_printed(capsys):
    name = "\x1b[31m\x1b[2J\u202e猫\r"
    shown = "\\x1b[31m\\x1b[2J\\u202e猫\\r"
    with one_line_errors():
        print(f"{name}: written", "a\tb", sep="\n")
        print(f"skipped: {name}", file=sys.stderr)
        sys.stdout.writelines([name, "\n"])
        print("\x1b[A")
        # What Detectron2's loggers and progress bars write stays.
        logged = "\x1b[5m\x1b[31mWARNING\x1b[0m \x1b[32m[11/26 15:46:28 d2.data]: \x1b[0mcar\n"
        sys.stdout.write(logged)
        helped = "\x1b[1;34musage: \x1b[0m\x1b[1;35mtool\x1b[0m\n"  # argparse, Python 3.14
        sys.stdout.write(helped)
        bar = tqdm(["a"], desc="val", file=sys.stderr, position=1)
        list(bar)
    out, err = capsys.readouterr()
    assert out == f"{shown}: written\na\tb\n{shown}\n\\x1b[A\n{logged}{helped}"
    first, _, bar_text = err.partition("\n")
    assert first == f"skipped: {shown}"
    assert "\rval: 100%" in bar_text and "\x1b[A" in bar_text and "\\x" not in bar_text
    print(name)
    assert capsys.readouterr().out == name + "\n"


def test_what_ends_a_training_is_logged_without_its_traceback(caplog):
    logger = logging.getLogger("detectron2.engine.train_loop")
    with one_line_errors():
        for error in (UserError("a.png: it is no image"), ValueError("a bug")):
            try:
                raise error
            except ValueError:
                logger.exception("Exception during training:")
    user, bug = caplog.records
    assert (user.getMessage(), user.exc_info) == (
        "Exception during training: a.png: it is no image",
        None,
    )
    assert bug.getMessage() == "Exception during training:" and bug.exc_info


# -------------------------------------------------------------------- programs

ROOT = Path(__file__).resolve().parents[1]


def program(code: str, **options) -> subprocess.Popen:
    """A program that uses the package, on its own; its error stream can be read."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, **options.pop("env", {})}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, **options)


def test_a_full_disk_under_the_output():
    with open("/dev/full", "w") as full:
        for text, silenced in (("'x'", ""), ("'x' * 100000", ""), ("'x' * 100000", "OSError")):
            code = f"""
                import contextlib
                from deocclusion_d2.errors import one_line_errors
                with one_line_errors(), contextlib.suppress({silenced}):  # argparse does so
                    print({text})
                """
            running = program(code, stdout=full)
            assert running.communicate()[1] == "error: No space left on device\n"
            assert running.returncode == 1


def test_a_reader_that_has_gone():
    for text in ("'x'", "'x' * 1000000"):
        code = f"""
            import sys
            from deocclusion_d2.errors import one_line_errors
            sys.stdin.readline()
            with one_line_errors():
                print({text})
            """
        running = program(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.stdout.close()
        running.stdin.write("\n")
        running.stdin.close()
        assert running.stderr.read() == ""
        assert running.wait() == READER_GONE


def test_a_full_disk_under_log_lines():
    """No traceback for each, and other faults of logging keep theirs."""
    code = """
        import logging, sys
        from deocclusion_d2.errors import one_line_errors
        logger = logging.getLogger("x")
        with one_line_errors():
            logger.addHandler(logging.StreamHandler(sys.stdout))
            logger.warning("one")
            logger.warning("two")
            logger.warning("%d", "no number")
        """
    with open("/dev/full", "w") as full:
        running = program(code, stdout=full)
        said = running.communicate()[1]
    assert running.returncode == 1
    assert said.count("--- Logging error ---") == 1 and "TypeError: %d format" in said
    assert said.endswith("\nerror: No space left on device\n")


def test_names_that_the_terminal_lacks():
    code = """
        from deocclusion_d2.errors import one_line_errors
        with one_line_errors():
            print("猫", "caf\\udce9")
        """
    running = program(code, stdout=subprocess.PIPE, env={"PYTHONIOENCODING": "ascii"})
    assert running.communicate() == ("\\u732b caf\\udce9\n", "")


@pytest.mark.parametrize("module", ["cli", "cli.train_net"])
def test_ctrl_c(module):
    """While the program is imported, and while it works."""
    work = "with one_line_errors(): wait()" if "." in module else "wait()"
    code = f"""
        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & turns it off
        import deocclusion_d2.{module}
        from deocclusion_d2.errors import one_line_errors
        def wait():
            print("ready", flush=True)
            import time; time.sleep(60)
        {work}
        """
    running = program(code, stdout=subprocess.PIPE)
    assert running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGINT)
    assert running.communicate()[1] == "interrupted\n"
    # What a shell shows as 130, either way.
    assert running.returncode == (INTERRUPTED if "." in module else -signal.SIGINT)


def test_no_warnings_of_libraries_before_our_line(tmp_path):
    code = """
        from deocclusion_d2.cli.train_net import main
        main(["--config-file", "absent"])
        """
    running = program(code, stdout=subprocess.PIPE)
    assert running.communicate()[1] == "error: config file 'absent' does not exist\n"
    assert running.returncode == 1


def test_warnings_that_users_ask_for_are_shown():
    code = """
        import sys, warnings
        import deocclusion_d2
        warnings.warn_explicit("`torch.jit.script` is deprecated. x", FutureWarning, "a.py", 1)
        warnings.warn_explicit("`torch.jit.other` is deprecated. x", FutureWarning, "a.py", 2)
        """
    assert "jit.script" not in (first := program(code).communicate()[1]) and "jit.other" in first
    asked = program(code, env={"PYTHONWARNINGS": "default"}).communicate()[1]
    assert "jit.script" in asked and "jit.other" in asked
