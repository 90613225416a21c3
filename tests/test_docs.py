"""Every Python block of the README and of the documentation runs as it is printed."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import pytest
import torch

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# a fence, and the comment right before it that gives the reason for which it is not executed
BLOCK = re.compile(
    r"^(?P<skip><!-- not executed: (?:(?!-->).)+-->\n+)?```python\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)


class Block(NamedTuple):
    """Code, and the line of the page that it begins on."""

    code: str
    line: int


def executed_blocks(text: str) -> list[Block]:
    return [Block(m["code"], text[: m.start("code")].count("\n")) for m in BLOCK.finditer(text) if not m["skip"]]


def run_page(page: Path, namespace: dict[str, Any]) -> int:
    """Execute the blocks of a page one after the other; tracebacks show the page's own lines."""
    blocks = executed_blocks(page.read_text(encoding="utf-8"))
    for block in blocks:
        exec(compile("\n" * block.line + block.code, str(page), "exec"), namespace)
    return len(blocks)


@pytest.fixture
def _quiet_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A temporary working directory, one thread, and no windows."""
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_quiet_machine")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_run(page: Path) -> None:
    # "__main__", as in a script: what is defined there is saved by SB3 with the model
    try:
        run_page(page, {"__name__": "__main__"})
    except ModuleNotFoundError as error:
        if error.name != "imitation":  # the peer that one page is about
            raise
        pytest.skip("imitation is not installed")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_is_executed_or_says_why_not(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    fences = len(re.findall(r"^\s*(```|~~~|:::)\s*\{?(code-block\}\s*)?(python|py)\b", text, re.MULTILINE))
    assert fences == len(BLOCK.findall(text))


def test_blocks_share_a_namespace_and_are_skipped_only_with_a_reason(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\na = 1\n```\n\n<!-- not executed: opens a window -->\n```python\na = 10\n```\n\n```sh\nexit 1\n```\n"
        "\n```python\na += 1\n```\n"
    )
    namespace: dict[str, Any] = {}
    assert run_page(page, namespace) == 2
    assert namespace["a"] == 2
    page.write_text("<!-- not executed: -->\n```python\nraise KeyError\n```\n")
    with pytest.raises(KeyError):
        run_page(page, namespace)
