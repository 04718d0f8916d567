"""The README's Python runs as it stands, from top to bottom, and its pictures and files exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_blocks_run_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    assert names["run"].history["accuracy"].iloc[names["run"].chosen] >= names["run"].history["accuracy"].iloc[0] - 0.02
    assert (tmp_path / "pruned.safetensors").stat().st_size < 40_000  # of 154,768 bytes dense


def test_every_picture_has_a_description_and_its_data_beside_it() -> None:
    pictures = re.findall(r"!\[(.*?)\]\((.*?)\)", README)
    assert pictures
    for description, path in pictures:
        assert len(description) > 50
        assert (ROOT / path).exists()
        assert (ROOT / path).with_suffix(".csv").read_text(encoding="utf-8").startswith("# minprune ")


def test_every_command_in_the_readme_exists() -> None:
    from typer.main import get_command

    from minprune.cli import app

    commands = get_command(app).commands
    mentioned = set(re.findall(r"`minprune (\w+)", README))
    assert mentioned >= {"demo", "train", "prune", "curve", "sensitivity", "bench"}
    assert mentioned <= set(commands)
