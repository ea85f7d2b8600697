# The whole platform in one container, as `make run` starts it. CPU: docker build -f docker/all-in-one.Dockerfile -t relate-all .
# GPU: add --build-arg BUILD=gpu and run it with --gpus all.
FROM python:3.11-bookworm@sha256:b99029c95d3d37fb1e4e76d287f7984373dca77c665885986e31b2c95260c13c
ARG BUILD=cpu
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1
WORKDIR /relate
COPY requirements requirements
RUN if [ "$BUILD" = gpu ]; then unset PIP_EXTRA_INDEX_URL; fi; pip install --no-deps --require-hashes -r requirements/$BUILD.lock
COPY pyproject.toml README.md ./
COPY adtext adtext
COPY abtest abtest
COPY trainer trainer
COPY app app
COPY migrations migrations
RUN pip install --no-deps --no-build-isolation . && useradd --create-home --home-dir /data relate
USER relate
VOLUME /data
EXPOSE 8080
# the first start prepares the model
HEALTHCHECK --start-period=10m --interval=10s --timeout=3s CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"
STOPSIGNAL SIGTERM
CMD ["relate", "up", "--host", "0.0.0.0", "--data-dir", "/data/relate"]
