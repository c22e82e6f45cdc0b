"""The recipes of docs/remote.md are executed, on a server of the tests."""

from __future__ import annotations

import pytest

from tests.support import ROOT
from tests.test_documents import blocks, run, steps
from tests.web import OnDisk, serving

PAGE = (ROOT / "docs" / "remote.md").read_text(encoding="utf-8")
HERE = "http://127.0.0.1:8000"


@pytest.mark.slow
def test_the_recipes_do_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    transcripts = [step for block in blocks("console", PAGE) for step in steps(block)]
    assert len(transcripts) >= 5
    with serving() as web:
        for command, printed in transcripts:
            if "tests.web" in command:
                web.put("demo.vhdx", OnDisk(ROOT / "build" / "demo.vhdx"))
            else:
                assert run(command.replace(HERE, web.url)).replace(web.url, HERE) == printed, (
                    command
                )
        (program,) = blocks("python", PAGE)
        exec(compile(program.replace(HERE, web.url), "docs/remote.md", "exec"), {})
        assert [capsys.readouterr().out] == blocks("text", PAGE)
