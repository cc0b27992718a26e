"""Outside programs are run as they should be: apart from us, logged, limited, and not left behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cryoarena.methods.external.run_program import Command, ProgramFailed, children_cpu_s, run_program

PYTHON = Path(sys.executable)


def run(folder: Path, code: str, **options) -> None:
    command = Command([PYTHON.name, "-c", code], **options)
    run_program(command, PYTHON.parent, folder, folder / "log.txt")


def is_alive(pid: int) -> bool:
    try:
        # The dead who were not waited for are not alive.
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_output_is_logged_and_told_line_by_line(tmp_path: Path) -> None:
    lines: list[str] = []
    code = (
        "import sys; print('one'); sys.stdout.flush(); print('two', file=sys.stderr); sys.stdout.buffer.write(b'\\xff')"
    )
    command = Command([PYTHON.name, "-c", code])
    run_program(command, PYTHON.parent, tmp_path, tmp_path / "log.txt", lines.append)
    assert [line.strip() for line in lines] == ["one", "two", "\ufffd"]
    log = (tmp_path / "log.txt").read_text()
    assert log.startswith(f"$ {PYTHON.parent}")
    assert "one\ntwo" in log


def test_a_failure_tells_exit_code_and_last_lines(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match=r"exit code 3; its last lines: .*the reason"):
        run(tmp_path, "import sys; print('the reason'); sys.exit(3)")
    with pytest.raises(ProgramFailed, match="signal SIGTERM"):
        run(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")


def test_it_sees_nothing_of_our_python_and_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    code = "import os; e = os.environ; print(e.get('PYTHONPATH'), e['CUDA_VISIBLE_DEVICES'], e['OMP_NUM_THREADS'])"
    for device, seen in (("cpu", ""), ("cuda", "0,1")):
        lines: list[str] = []
        command = Command([PYTHON.name, "-c", code], threads=3)
        run_program(command, PYTHON.parent, tmp_path, tmp_path / "log.txt", lines.append, device)
        assert lines == [f"None {seen} 3\n"]


def test_the_end_of_the_cpu_time_is_no_failure(tmp_path: Path) -> None:
    started = time.perf_counter()
    before_s = children_cpu_s()
    run(tmp_path, "while True: pass", cpu_s=1)
    assert 0.8 < children_cpu_s() - before_s < 3
    assert time.perf_counter() - started < 30
    # Nor is a failure the end of the time.
    with pytest.raises(ProgramFailed, match="exit code 1"):
        run(tmp_path, "raise ValueError", cpu_s=100)


def test_it_does_not_outlive_an_exception(tmp_path: Path) -> None:
    pids: list[int] = []

    def interrupt(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    command = Command([PYTHON.name, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"])
    with pytest.raises(KeyboardInterrupt):
        run_program(command, PYTHON.parent, tmp_path, tmp_path / "log.txt", interrupt)
    assert not is_alive(pids[0])


def test_it_does_not_outlive_our_death(tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        if os.environ.get("CI"):
            pytest.fail("setpriv must be there in CI; it is in Debian's util-linux")
        pytest.skip("the system has no setpriv")
    ours = f"""
import sys
from pathlib import Path
from cryoarena.methods.external.run_program import Command, run_program
code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
folder = Path({str(tmp_path)!r})
tell = lambda line: print(line, end="", flush=True)
run_program(Command(["{PYTHON.name}", "-c", code]), Path({str(PYTHON.parent)!r}), folder, folder / "log.txt", tell)
"""
    process = subprocess.Popen([sys.executable, "-c", ours], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    for _ in range(100):
        if not is_alive(pid):
            return
        time.sleep(0.05)
    pytest.fail("the program goes on")
