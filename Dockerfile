# The service with the model that comes with the package, run by onnxruntime, without torch:
#
#   docker build --tag precode .
#   docker run --publish 8000:8000 precode
#
# A model of your own is exported first: precode export checkpoints/meld exported/meld
#   docker run --publish 8000:8000 --volume ./exported/meld:/srv/model:ro precode

# The first stage exports the model with torch. Nothing else of it is in the image.
FROM python:3.11-slim AS export

# The address of PyTorch's wheels for CPUs, if you have no GPU: the download is several gigabytes smaller.
ARG PIP_EXTRA_INDEX_URL=
# "--quantize int8" for a model that is smaller and faster, and less exact.
ARG EXPORT_OPTIONS=

WORKDIR /srv
COPY constraints.txt setup.cfg setup.py pyproject.toml README.md LICENSE run_finetune.py run_pretrain.py ./
COPY data_scripts data_scripts
COPY modeling_precode modeling_precode

# Without a compiler, the kernels of recurrent layers are left out. The exported model does not use them.
RUN pip install --no-cache-dir --constraint constraints.txt ".[export]"
RUN pip wheel --no-cache-dir --no-deps --wheel-dir wheels .
RUN precode export default model $EXPORT_OPTIONS

FROM python:3.11-slim

WORKDIR /srv
COPY constraints.txt ./
# The extras `onnx`, `serve` and `excel`, and those requirements of the package that reading and labeling need.
RUN pip install --no-cache-dir --constraint constraints.txt \
    fastapi httptools prometheus_client python-multipart starlette uvicorn uvloop websockets \
    onnxruntime tokenizers numpy \
    charset-normalizer filelock huggingface_hub jinja2 openpyxl pyarrow pyyaml tqdm
COPY --from=export /srv/wheels wheels
RUN pip install --no-cache-dir --no-deps wheels/*.whl && rm -r wheels
COPY --from=export /srv/model model

# The service writes nothing but temporary files.
ENV HOME=/tmp HF_HUB_OFFLINE=1
USER 1000:1000
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["precode", "serve", "model", "--host", "0.0.0.0"]
