import pytest

from tests.cli.calls import FAST, STUDY, call


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    (folder / "study.toml").write_text(STUDY)
    result = call("run", folder / "study.toml", "-o", folder / "results", *FAST)
    assert result.exit_code == 0, result.output
    return folder
