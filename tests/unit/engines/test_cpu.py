from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.engines import cpu
from app.engines.cpu import (
    WorkerPlan,
    cgroup_quota,
    cpu_name,
    cpu_problem,
    fast_cores,
    missing_features,
    plan_workers,
    usable_cores,
)

OLD = "processor : 0\nflags\t\t: fpu sse4_2 avx f16c\n"
NEW = "processor : 0\nflags\t\t: fpu avx avx2 fma f16c bmi1 bmi2\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_missing_features_are_named() -> None:
    assert missing_features(OLD) == ("avx2", "fma", "bmi2")
    assert missing_features(NEW) == ()


def test_without_a_flags_line_there_is_no_opinion() -> None:
    assert missing_features("Features : asimd\n") == ()


def test_an_old_cpu_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu.sys, "platform", "linux")
    monkeypatch.setattr(cpu.platform, "machine", lambda: "x86_64")
    problem = cpu_problem(write(tmp_path, {"proc/cpuinfo": OLD}))
    assert problem is not None
    assert "AVX2, FMA, BMI2" in problem
    (tmp_path / "proc/cpuinfo").write_text(NEW)
    assert cpu_problem(tmp_path) is None


def test_an_engine_built_for_this_machine_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu.sys, "platform", "linux")
    monkeypatch.setattr(cpu.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(cpu, "version", lambda _: "1.5.1+native")
    assert cpu_problem(write(tmp_path, {"proc/cpuinfo": OLD})) is None
    monkeypatch.setattr(cpu, "version", lambda _: "1.5.1+blas")
    assert cpu_problem(tmp_path) is not None


@pytest.mark.parametrize(("system", "machine"), [("darwin", "x86_64"), ("linux", "aarch64")])
def test_other_platforms_are_not_judged(system: str, machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu.sys, "platform", system)
    monkeypatch.setattr(cpu.platform, "machine", lambda: machine)
    assert cpu_problem(write(tmp_path, {"proc/cpuinfo": OLD})) is None


def test_an_unreadable_cpuinfo_is_no_problem(tmp_path: Path) -> None:
    assert cpu_problem(tmp_path) is None


def test_the_smallest_quota_up_the_tree_counts(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/system.slice/whisper.service\n",
            "sys/fs/cgroup/system.slice/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/system.slice/whisper.service/cpu.max": "max 100000\n",
        },
    )
    assert cgroup_quota(root) == 1.5


def test_a_group_named_from_the_host_falls_back_to_the_mount(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/self/cgroup": "0::/docker/abc\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"})
    assert cgroup_quota(root) == 2.0


def test_the_old_interface_is_read_too(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/x\n3:memory:/x\n",
            "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cgroup_quota(root) == 3.0


def test_the_old_interface_is_found_without_the_link_to_its_mount(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/x\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cgroup_quota(root) == 1.5


@pytest.mark.parametrize("memberships", [b"", b"\n", b"garbage\n", b"0:\n", b"0::/\xff\xfe\n", b"::\n"])
def test_memberships_of_another_form_are_no_quota(memberships: bytes, tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_bytes(memberships)
    assert cgroup_quota(tmp_path) is None


def test_odd_lines_do_not_hide_the_quota_beside_them(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/self/cgroup": "garbage\n\n0::/a:b\n", "sys/fs/cgroup/a:b/cpu.max": "300000 100000\n"})
    assert cgroup_quota(root) == 3.0


@pytest.mark.parametrize("limit", ["", "100000", "0 100000", "-5 100000", "100000 0", "max", "some 100000"])
def test_limits_of_another_form_are_no_quota(limit: str, tmp_path: Path) -> None:
    assert cgroup_quota(write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{limit}\n"})) is None


def test_a_limit_that_may_not_be_read_is_no_quota(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max/inside": ""})
    assert cgroup_quota(root) is None


def test_no_quota_is_none(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path) is None
    assert cgroup_quota(write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"})) is None


def test_usable_cores_are_at_least_one_and_cut_to_the_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu.sys, "platform", "darwin")
    monkeypatch.setattr(cpu.os, "cpu_count", lambda: 8)
    assert usable_cores(tmp_path) == 8
    quota = write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"})
    assert usable_cores(quota) == 2
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("50000 100000\n")
    assert usable_cores(quota) == 1


def speeds(name: str, *values: int) -> dict[str, str]:
    return {f"sys/devices/system/cpu/cpu{core}/{name}": f"{value}\n" for core, value in enumerate(values)}


def test_slow_cores_are_left_out_by_capacity(tmp_path: Path) -> None:
    root = write(tmp_path, speeds("cpu_capacity", 250, 250, 800, 1024))
    assert fast_cores(range(4), root) == {2, 3}


def test_the_fastest_core_that_may_be_used_is_the_measure(tmp_path: Path) -> None:
    root = write(tmp_path, speeds("cpu_capacity", 250, 250, 800, 1024))
    assert fast_cores({0, 1}, root) == {0, 1}


def test_without_capacities_the_highest_clock_tells(tmp_path: Path) -> None:
    root = write(tmp_path, speeds("cpufreq/cpuinfo_max_freq", 5_000_000, 4_900_000, 3_600_000))
    assert fast_cores(range(3), root) == {0, 1}


def test_a_processor_that_lists_its_kinds_of_cores_is_believed(tmp_path: Path) -> None:
    root = write(tmp_path, {"sys/devices/cpu_core/cpus": "0-3,8\n", "sys/devices/cpu_atom/cpus": "4-7\n"})
    write(tmp_path, speeds("cpufreq/cpuinfo_max_freq", *[5_000_000] * 9))
    assert fast_cores(range(9), root) == {0, 1, 2, 3, 8}
    assert fast_cores({2, 5, 6}, root) == {2}
    assert fast_cores({5, 6}, root) == {5, 6}


def test_where_the_kernel_says_nothing_all_cores_count(tmp_path: Path) -> None:
    assert fast_cores(range(3), tmp_path) == {0, 1, 2}
    assert fast_cores(range(2), write(tmp_path, speeds("cpu_capacity", 1024))) == {0, 1}


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux's")
def test_affinity_limits_the_cores() -> None:
    core = min(os.sched_getaffinity(0))
    program = (
        f"import os; os.sched_setaffinity(0, {{{core}}}); from app.engines.cpu import usable_cores; print(usable_cores())"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "1\n"


def test_on_macos_the_cores_of_the_fast_kind_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def answer(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[-1] == "hw.perflevel0.logicalcpu"
        return subprocess.CompletedProcess(command, 0, stdout="6\n")

    monkeypatch.setattr(cpu.sys, "platform", "darwin")
    monkeypatch.setattr(cpu.os, "cpu_count", lambda: 10)
    monkeypatch.setattr(cpu.subprocess, "run", answer)
    assert usable_cores(tmp_path) == 6


def test_the_processor_is_named(tmp_path: Path) -> None:
    assert (
        cpu_name(write(tmp_path, {"proc/cpuinfo": "processor : 0\nmodel name\t: Some CPU @ 3 GHz\n"})) == "Some CPU @ 3 GHz"
    )


@pytest.mark.parametrize(
    ("cores", "workers", "threads", "expected"),
    [
        (1, 0, 0, WorkerPlan(1, 1)),
        (2, 0, 0, WorkerPlan(2, 1)),
        (4, 0, 0, WorkerPlan(4, 1)),
        (8, 0, 0, WorkerPlan(4, 2)),
        (16, 0, 0, WorkerPlan(4, 4)),
        (64, 0, 0, WorkerPlan(4, 8)),
        (8, 2, 0, WorkerPlan(2, 4)),
        (8, 0, 4, WorkerPlan(2, 4)),
        (2, 4, 0, WorkerPlan(4, 1)),
        (2, 3, 5, WorkerPlan(3, 5)),
    ],
)
def test_workers_share_the_cores(cores: int, workers: int, threads: int, expected: WorkerPlan) -> None:
    assert plan_workers(cores, workers, threads) == expected


def test_a_gpu_gets_one_worker() -> None:
    assert plan_workers(16, gpu=True) == WorkerPlan(1, 4)
    assert plan_workers(16, 2, gpu=True).workers == 2
