# syntax=docker/dockerfile:1
#
# The server in a container: docs/operations.md, "Docker". Everything Python comes from requirements/run.txt, hashes checked.
#   docker build -t whisperapi .                                 for processors
#   docker build -t whisperapi:cuda --build-arg ENGINE=cuda .    for NVIDIA GPUs
# Both build the engine from its source archive: with the matrix routines that the published wheel leaves out it takes 0.7 of
# the time (docs/performance.md).

# cpu or cuda
ARG ENGINE=cpu
# version of the CUDA images; the host's driver must know it
ARG CUDA_VERSION=12.8.1

# ---- where things are built ------------------------------------------------------------------------------------------
FROM python:3.12-slim-bookworm AS build-cpu
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends build-essential git \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/whisperapi
# The binding's build hands every environment variable on to CMake.
#   GGML_NATIVE=OFF          the builder's processor does not decide what the image can run on: AVX2, as the wheel
#   GGML_LLAMAFILE=ON        faster matrix products
#   BUILD_SHARED_LIBS=OFF    one extension module: separate libraries would not be found once installed
#   NO_REPAIR=1              takes the OpenMP library of the runtime image
#   X86_64_FLAGS             as `whisperapi engine build` has them: scheduling for the builder's processor, no instruction more
ENV GGML_NATIVE=OFF \
    GGML_LLAMAFILE=ON \
    X86_64_FLAGS="-mtune=native -fno-math-errno -fno-trapping-math -fno-signed-zeros -fassociative-math -mavx2 -mfma -mf16c -mbmi2" \
    BUILD_SHARED_LIBS=OFF \
    CMAKE_POSITION_INDEPENDENT_CODE=ON \
    NO_REPAIR=1
COPY requirements/run.txt /build/requirements/run.txt
# The engine first: the locked install that follows finds it in place and leaves it there.
RUN sed -n '/^pywhispercpp==/,/^    # via/p' /build/requirements/run.txt > /build/engine.txt \
    && if [ "$(uname -m)" = x86_64 ]; then export CMAKE_CXX_FLAGS="${X86_64_FLAGS}"; fi \
    && /opt/whisperapi/bin/pip install --no-cache-dir --no-deps --no-binary pywhispercpp --require-hashes -r /build/engine.txt

FROM nvidia/cuda:${CUDA_VERSION}-devel-ubuntu24.04 AS build-cuda
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends build-essential git python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/whisperapi
# compute capabilities to compile for; newer GPUs translate the last one when they first load it
ARG CUDA_ARCHITECTURES=75;80;86;89;90
# As above, and:
#   GGML_NATIVE=OFF          neither the builder's processor nor its (absent) GPU decides what the image can run on
#   GGML_CUDA_NCCL=OFF       for several GPUs at one decode, which this server does not do; one library less to need
#   NO_REPAIR=1              leaves CUDA's own libraries where the runtime image has them
ENV GGML_CUDA=1 \
    GGML_CUDA_NCCL=OFF \
    GGML_NATIVE=OFF \
    GGML_LLAMAFILE=ON \
    X86_64_FLAGS="-mtune=native -fno-math-errno -fno-trapping-math -fno-signed-zeros -fassociative-math -mavx2 -mfma -mf16c -mbmi2" \
    BUILD_SHARED_LIBS=OFF \
    CMAKE_POSITION_INDEPENDENT_CODE=ON \
    CMAKE_CUDA_ARCHITECTURES=${CUDA_ARCHITECTURES} \
    NO_REPAIR=1
COPY requirements/run.txt /build/requirements/run.txt
# The engine first: the locked install that follows finds it in place and leaves it there.
RUN sed -n '/^pywhispercpp==/,/^    # via/p' /build/requirements/run.txt > /build/engine.txt \
    && if [ "$(uname -m)" = x86_64 ]; then export CMAKE_CXX_FLAGS="${X86_64_FLAGS}"; fi \
    && /opt/whisperapi/bin/pip install --no-cache-dir --no-deps --no-binary pywhispercpp --require-hashes -r /build/engine.txt

FROM build-${ENGINE} AS build
WORKDIR /build
COPY requirements/run.txt requirements/run.txt
RUN /opt/whisperapi/bin/pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md ./
COPY app app
COPY cli cli
COPY migrations migrations
COPY models models
RUN /opt/whisperapi/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

# ---- where they run --------------------------------------------------------------------------------------------------
FROM python:3.12-slim-bookworm AS run-cpu
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*

FROM nvidia/cuda:${CUDA_VERSION}-runtime-ubuntu24.04 AS run-cuda
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends libgomp1 python3 \
    && rm -rf /var/lib/apt/lists/*

FROM run-${ENGINE} AS run
LABEL org.opencontainers.image.title="whisperapi" \
      org.opencontainers.image.description="Self-hosted speech-to-text: a drop-in for Deepgram's /v1/listen, powered by whisper.cpp"
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin whisperapi \
    && install --directory --owner whisperapi /data /models
COPY --from=build /opt/whisperapi /opt/whisperapi
ENV PATH=/opt/whisperapi/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    WHISPERAPI_HOST=0.0.0.0 \
    WHISPERAPI_PORT=7860 \
    WHISPERAPI_DATA_DIR=/data \
    WHISPERAPI_MODELS_DIR=/models \
    HF_HOME=/data/huggingface
USER whisperapi
WORKDIR /data
VOLUME ["/data", "/models"]
EXPOSE 7860
# The first start may pull a model before it listens: failures count after ten minutes, success at once.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10m --retries=3 \
    CMD ["python3", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['WHISPERAPI_PORT']), timeout=4); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["whisperapi"]
CMD ["serve"]
