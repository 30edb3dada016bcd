"""A language model that keeps count of what its calls cost, by purpose."""

from collections import defaultdict
from math import fsum

from optimizer.errors import BadReply
from optimizer.ports import LanguageModel, ModelReply, ModelRequest
from optimizer.usage import Missing, Usage


class Metered:
    """Passes every call on. Replies that cannot be used are counted too: they were paid."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._spent: dict[str, list[Usage]] = defaultdict(list)

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer one request; see `optimizer.ports.LanguageModel`."""
        try:
            reply = await self._model.complete(request)
        except BadReply as error:
            self._spent[request.purpose].append(error.usage)
            raise
        self._spent[request.purpose].append(reply.usage)
        return reply

    def usage(self, *purposes: str) -> Usage:
        """The sum over these purposes, or over all; the same in whatever order the replies came."""
        spent = [usage for purpose in (purposes or tuple(self._spent)) for usage in self._spent[purpose]]
        missing = sorted(u.cost_usd for u in spent if isinstance(u.cost_usd, Missing))
        return Usage(
            calls=sum(u.calls for u in spent),
            input_tokens=sum(u.input_tokens for u in spent),
            output_tokens=sum(u.output_tokens for u in spent),
            cost_usd=missing[0] if missing else fsum(u.cost_usd for u in spent if not isinstance(u.cost_usd, Missing)),
        )
