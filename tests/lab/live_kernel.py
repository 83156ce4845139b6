"""A real kernel, spoken to as JupyterLab does: cells, and messages of widgets."""

from typing import Any

from jupyter_client.manager import start_new_kernel

Message = dict[str, Any]


class LiveKernel:
    """Runs cells and widget messages; each gives the messages that the kernel sent until it was idle."""

    def __init__(self) -> None:
        self._manager, self._client = start_new_kernel(kernel_name="python3")

    def stop(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def run(self, code: str) -> list[Message]:
        return self._until_idle(self._client.execute(code))

    def set(self, comm: str, **state: object) -> None:
        """What a browser sends when a control was moved."""
        self._send(comm, {"method": "update", "state": state, "buffer_paths": []})

    def click(self, comm: str, subshell: str | None = None) -> list[Message]:
        """What a browser sends when a button was pressed."""
        return self._send(comm, {"method": "custom", "content": {"event": "click"}}, subshell)

    def subshell(self) -> str:
        """A thread of the kernel's own for messages, as JupyterLab opens one for its widgets."""
        self._client.control_channel.send(self._client.session.msg("create_subshell_request"))
        subshell: str = self._client.get_control_msg(timeout=10)["content"]["subshell_id"]
        return subshell

    def _send(self, comm: str, data: object, subshell: str | None = None) -> list[Message]:
        message = self._client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        if subshell:
            message["header"]["subshell_id"] = subshell
        self._client.shell_channel.send(message)
        return self._until_idle(message["header"]["msg_id"])

    def _until_idle(self, request: str) -> list[Message]:
        messages: list[Message] = []
        while True:
            message = self._client.get_iopub_msg(timeout=20)
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["content"].get("execution_state") == "idle":
                return messages
            messages.append(message)


def texts(messages: list[Message]) -> list[str]:
    """What a reader saw, in words."""
    seen = []
    for message in messages:
        content = message["content"]
        if message["msg_type"] == "stream":
            seen.append(content["text"].strip())
        elif message["msg_type"] in ("display_data", "execute_result"):
            seen.append(content["data"]["text/plain"])
        elif message["msg_type"] == "error":
            seen.append(f"{content['ename']}: {content['evalue']}")
    return seen
