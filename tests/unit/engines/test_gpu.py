from __future__ import annotations

from app.engines.gpu import parse_backends

CPU_ONLY = "WHISPER : COREML = 0 | OPENVINO = 0 | CPU : SSE3 = 1 | AVX2 = 1 | REPACK = 1 | "


def test_a_cpu_build_has_no_gpu() -> None:
    assert parse_backends(CPU_ONLY, {"libggml-cpu-67036419.so.0.13.1", "libggml-base-319ad4fb.so", "libc.so.6"}) == ()


def test_backends_are_read_from_the_description() -> None:
    assert parse_backends("WHISPER : COREML = 0 | CUDA : ARCHS = 800 | CPU : SSE3 = 1 | ") == ("CUDA",)
    assert parse_backends("WHISPER : COREML = 1 | Metal : EMBED_LIBRARY = 1 | CPU : NEON = 1 | ") == ("Metal",)


def test_backends_are_read_from_the_loaded_libraries() -> None:
    assert parse_backends(CPU_ONLY, {"libggml-vulkan.so.0", "libggml-hip-1a2b.so"}) == ("ROCm", "Vulkan")
