from __future__ import annotations

from app.engines.gpu import parse_devices


def test_the_devices_in_use_are_read_from_the_librarys_log() -> None:
    log = [
        "whisper_backend_init_gpu: found GPU device 0: CUDA0 (type: 1, cnt: 0)",
        "whisper_backend_init_gpu: using CUDA0 backend",
    ]
    assert parse_devices([*log, "whisper_backend_init: using BLAS backend", log[1]]) == ("CUDA0", "BLAS")


def test_the_processor_alone_is_no_device() -> None:
    assert parse_devices(["whisper_backend_init_gpu: no GPU found", "whisper_init_state: kv self size = 1 MB"]) == ()
