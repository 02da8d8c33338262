# The controller's image. Its steps are kept plain: hack/image-check reads this file and runs the very
# same steps in a scratch folder, without a container engine, and starts what comes out.
#
#   docker build --tag kro .
#
# Everything that goes in is locked by hash; the wheel, the byte code and the packages are the same, byte for
# byte, in every build. For the base image to be the same too, name it by its digest:
#   --build-arg PYTHON_IMAGE=docker.io/library/python:3.13-slim@sha256:...
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
# The time that archives are stamped with: 1980-01-01, the first that a wheel can hold.
ENV SOURCE_DATE_EPOCH=315532800 PYTHONDONTWRITEBYTECODE=1 PIP_NO_COMPILE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY requirements-build.lock requirements-image.lock ./
RUN python -m venv tools
RUN tools/bin/python -m pip install --quiet --require-hashes --only-binary=:all: -r requirements-build.lock
# Without pip: what runs in the cluster installs nothing.
RUN python -m venv --without-pip /opt/kro
RUN tools/bin/python -m pip --python /opt/kro/bin/python install --quiet --require-hashes --only-binary=:all: -r requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY kro ./kro
COPY config/crd ./config/crd
RUN tools/bin/hatchling build --target wheel --directory dist
RUN tools/bin/python -m pip --python /opt/kro/bin/python install --quiet --no-index --no-deps dist/*.whl
# Byte code that goes by no time stamp: it is the same in every build, and never looked up against its source.
RUN /opt/kro/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/kro/lib

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="kro" \
      org.opencontainers.image.description="Kube Resource Orchestrator: the controller" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/kro /opt/kro
# Nothing is written to the image's own file system, so that it may be mounted read-only.
ENV PATH=/opt/kro/bin:${PATH} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 1000:1000
EXPOSE 8078 8079
ENTRYPOINT ["kro", "controller"]
