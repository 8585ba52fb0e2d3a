"""The handler of an Inference Endpoint: labels the utterances of dialogues with the model in its folder.

A request is a JSON object. `inputs` is a dialogue, or a list of dialogues, in the forms that the pipeline
`conversation-emotion` accepts: a dialogue is a list of strings or of `{"speaker": ..., "text": ...}`. `parameters` are
arguments of the pipeline, such as `{"distribution": true}` or `{"label_map": {"joy": "positive", ...}}`. The answer is
what the pipeline returns, or `{"error": ...}` if the request is wrong.
"""

from typing import Any

from transformers import pipeline

TASK = "conversation-emotion"


class EndpointHandler:
    """Answers requests with the model in a folder.

    Args:
        path: The folder of the checkpoint that this file comes with. The code in the checkpoint is run.
    """

    def __init__(self, path: str = ""):
        # The module that defines the pipeline is in the folder, too.
        self.emotions: Any = pipeline(TASK, model=path or ".", trust_remote_code=True)  # type: ignore[call-overload]

    def __call__(self, data: Any) -> Any:
        """Label the dialogues of a request.

        Args:
            data: `{"inputs": ..., "parameters": {...}}`; `parameters` may be absent.

        Returns:
            What the pipeline returns, or `{"error": ...}` if the request is wrong.
        """
        if not isinstance(data, dict) or "inputs" not in data:
            found = f"the keys {', '.join(map(str, data)) or 'of an empty object'}" if isinstance(data, dict) else data
            return {"error": f'a request is {{"inputs": a dialogue, "parameters": {{...}}}}; got {str(found)[:80]}'}
        if unknown := sorted(map(str, data.keys() - {"inputs", "parameters"})):
            return {"error": f"unknown key {unknown[0]}; a request has `inputs` and `parameters`"}
        parameters = data.get("parameters") or {}
        if not isinstance(parameters, dict):
            return {"error": f"`parameters` must be an object; got {str(parameters)[:80]}"}
        try:
            return self.emotions(data["inputs"], **parameters)
        except (ValueError, TypeError) as error:
            return {"error": str(error)}
