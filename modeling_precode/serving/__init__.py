"""The HTTP service: a pipeline behind `POST /v1/emotions`, a WebSocket, metrics and a front page."""
