#!/usr/bin/env bash
# Writes requirements.lock anew: what pyproject.toml asks for, and what that needs, on every Python
# and system, each version with the SHA-256 of all its files. Versions stay; --upgrade renews them.
#   make lock
#   make lock LOCK=--upgrade
# PyTorch is left out, with what its CUDA build brings: its versions stand in the Makefile.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=$1 torch=$2
without=(torch torchvision triton cuda-{bindings,pathfinder,toolkit})
without+=(nvidia-{cublas,cuda-cupti,cuda-nvrtc,cuda-runtime,cudnn-cu13,cufft,cufile,curand,cusolver})
without+=(nvidia-{cusparse,cusparselt-cu13,nccl-cu13,nvjitlink,nvshmem-cu13,nvtx})
# shellcheck disable=SC2086  # several words
printf '%s\n' $torch | "$uv" pip compile --quiet --no-config --universal --python-version 3.11 \
  --generate-hashes --no-annotate --no-header --extra dev "${without[@]/#/--no-emit-package=}" \
  --output-file requirements.lock "${@:3}" pyproject.toml -
