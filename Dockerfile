# The service with the model that comes with the package:
#
#   docker build --tag precode .
#   docker run --publish 8000:8000 precode
#
# A model of your own: docker run --volume ./checkpoints/meld:/model:ro ... precode precode serve /model --host 0.0.0.0
FROM python:3.11-slim

# The address of PyTorch's wheels for CPUs, if you have no GPU: the image is several gigabytes smaller.
ARG PIP_EXTRA_INDEX_URL=

WORKDIR /srv
COPY constraints.txt setup.cfg setup.py pyproject.toml README.md LICENSE run_finetune.py run_pretrain.py ./
COPY data_scripts data_scripts
COPY modeling_precode modeling_precode

# Without a compiler, the kernels of recurrent layers are left out. PyTorch does the same work.
RUN pip install --no-cache-dir --constraint constraints.txt ".[serve]" && rm -r data_scripts modeling_precode build

# The service writes nothing but caches.
ENV HOME=/tmp HF_HUB_OFFLINE=1
USER 1000:1000
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["precode", "serve", "default", "--host", "0.0.0.0"]
