"""LangChain, as it comes, against `stepdown-engine serve`."""
import unittest

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field

from test_openai_client import Server, tiny_model


class Report(BaseModel):
    """A report of an incident."""
    severity: str = Field(pattern="^(low|high)$")
    decks: list[int] = Field(max_length=2)


@tool
def sound_alarm(deck: bool) -> str:
    """Sounds an alarm."""
    return "sounded"


class LangChain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(tiny_model(), "--max-sequences", "2")
        cls.access = {"base_url": cls.server.url + "/v1", "api_key": "none", "model": "m"}
        cls.chat = ChatOpenAI(**cls.access, temperature=0, max_tokens=250, max_retries=0)

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0

    def test_chats_and_streams(self):
        whole = self.chat.invoke("Report.")
        self.assertGreater(whole.usage_metadata["output_tokens"], 0)
        self.assertEqual("".join(chunk.content for chunk in self.chat.stream("Report.")), whole.content)

    def test_calls_tools(self):
        bound = self.chat.bind_tools([sound_alarm], tool_choice="required")
        message = bound.invoke("Fire!")
        self.assertEqual([call["name"] for call in message.tool_calls], ["sound_alarm"])
        self.assertIsInstance(message.tool_calls[0]["args"]["deck"], bool)
        whole = None
        for chunk in bound.stream("Fire!"):
            whole = chunk if whole is None else whole + chunk
        self.assertEqual(whole.tool_calls[0]["args"], message.tool_calls[0]["args"])
        answer = sound_alarm.invoke(message.tool_calls[0])
        self.chat.bind_tools([sound_alarm]).invoke([("user", "Fire!"), message, answer])

    def test_structured_output(self):
        for method in ["json_schema", "function_calling"]:
            report = self.chat.with_structured_output(Report, method=method).invoke("Report.")
            self.assertIn(report.severity, ["low", "high"])

    def test_completes_and_embeds(self):
        self.assertIsInstance(OpenAI(**self.access, max_tokens=4).invoke("one"), str)
        embeddings = OpenAIEmbeddings(**self.access, check_embedding_ctx_length=False)
        self.assertEqual(len(embeddings.embed_documents(["a", "b"])), 2)


if __name__ == "__main__":
    unittest.main()
