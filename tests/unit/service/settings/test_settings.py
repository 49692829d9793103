"""Settings: precedence, what each may be, and one line for each mistake."""

import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.settings import Settings, SettingsError, describe, load

WriteFile = Callable[[str], Path]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder, so that no stray file is read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> WriteFile:
    """Write beaconlog.toml into the current folder; return its path."""

    def write(text: str) -> Path:
        Path("beaconlog.toml").write_text(text, "utf-8")
        return Path("beaconlog.toml")

    return write


def from_environment(**variables: str) -> Settings:
    return load({}, {f"BEACONLOG_{key.upper()}": text for key, text in variables.items()}, None)


def refusal(
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> str:
    """Return the one line of the error that `load` raises."""
    with pytest.raises(SettingsError) as caught:
        load(flags or {}, environment or {}, file)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# Precedence


def test_nothing_written_gives_the_defaults() -> None:
    """Without any source, settings are the defaults."""
    assert load({}, {"PATH": "/bin"}, None) == Settings()


def test_flag_beats_environment_beats_file_beats_default(write: WriteFile) -> None:
    """Each source wins over the ones behind it, key by key."""
    write('port = 1\nworkers = 2\nhost = "::1"\n')
    environment = {"BEACONLOG_PORT": "3", "BEACONLOG_WORKERS": "4"}
    settings = load({"port": 5, "workers": None}, environment, None)
    assert (settings.port, settings.workers, settings.host) == (5, 4, "::1")
    assert settings.reports_port == 8081


def test_given_file_beats_the_variable_and_the_current_folder(
    write: WriteFile, folder: Path
) -> None:
    """One file is read: the given one, else BEACONLOG_CONFIG's, else beaconlog.toml here."""
    write("port = 1")
    named, given_file = folder / "named.toml", folder / "given.toml"
    named.write_text("port = 2")
    given_file.write_text("port = 3")
    environment = {"BEACONLOG_CONFIG": str(named)}
    assert load({}, {}, None).port == 1
    assert load({}, environment, None).port == 2
    assert load({}, environment, given_file).port == 3


def test_overridden_bad_value_is_still_refused(write: WriteFile) -> None:
    """A mistake in the file does not wait for the day the variable is gone."""
    write("port = -1")
    assert "beaconlog.toml: port:" in refusal(environment={"BEACONLOG_PORT": "80"})


# Values


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("512KiB", 512 * 1024),
        ("64MiB", 64 * 1024**2),
        ("64 MiB", 64 * 1024**2),
        ("1GiB", 1024**3),
    ],
)
def test_sizes_are_read_with_binary_units(text: str, size: int) -> None:
    """A size is bytes, or carries KiB, MiB or GiB."""
    assert from_environment(segment_bytes_max=text).segment_bytes_max == size
    assert load({"segment_bytes_max": size}, {}, None).segment_bytes_max == size


@given(st.integers(4, 2**20), st.sampled_from([("KiB", 2**10), ("MiB", 2**20), ("GiB", 2**30)]))
def test_any_size_with_a_unit_is_the_product(count: int, unit: tuple[str, int]) -> None:
    """The unit multiplies the count."""
    name, factor = unit
    assert load({"segment_bytes_max": f"{count}{name}"}, {}, None).segment_bytes_max == (
        count * factor
    )


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("data", "/srv/shop", Path("/srv/shop")),
        ("port", "0", 0),
        ("workers", "64", 64),
        ("segment_age_s", "0.5", 0.5),
        ("segment_grace_s", "0", 0.0),
        ("occurred_past_max_days", "36500", 36500.0),
        ("disk_free_bytes_min", "0", 0),
        ("throttle_api", "off", "off"),
        ("throttle_tenant_aware", "10/s burst 20", "10/s burst 20"),
        ("throttle_address", "off", "off"),
        ("throttle_address_bytes", "4MiB/min burst 65536", "4MiB/min burst 65536"),
        ("throttle_tenant_bytes", "1GiB/h burst 1GiB", "1GiB/h burst 1GiB"),
        ("trusted_proxies", "", ()),
        (
            "trusted_proxies",
            "127.0.0.1, 10.0.0.0/8,fd00::/8",
            ("127.0.0.1", "10.0.0.0/8", "fd00::/8"),
        ),
        ("directory_url", "postgresql+psycopg://u:p@db/shop", "postgresql+psycopg://u:p@db/shop"),
        ("directory_tenants_query", "SELECT id\nFROM shops", "SELECT id\nFROM shops"),
        ("log_url", "s3://bucket/log", "s3://bucket/log"),
        ("lake_url", "s3://bucket/lake", "s3://bucket/lake"),
        ("log_format", "json", "json"),
        ("log_level", "error", "error"),
    ],
)
def test_environment_text_becomes_the_value(key: str, text: str, value: object) -> None:
    """Every kind of setting can be written as text."""
    assert getattr(from_environment(**{key: text}), key) == value


def test_file_holds_native_values(write: WriteFile) -> None:
    """In TOML, numbers and arrays are written as such; a whole number of seconds is one."""
    write('segment_age_s = 3\ntrusted_proxies = ["127.0.0.1", "::1"]\nbody_bytes_max = "1MiB"')
    settings = load({}, {}, None)
    assert isinstance(settings.segment_age_s, float)
    assert settings.segment_age_s == 3.0
    assert settings.trusted_proxies == ("127.0.0.1", "::1")
    assert settings.body_bytes_max == 2**20


BAD: list[tuple[str, object]] = [
    ("data", ""),
    ("host", ""),
    ("host", "two words"),
    ("port", 65536),
    ("port", -1),
    ("port", 80.5),
    ("port", True),
    ("port", "http"),
    ("port", "9" * 5000),
    ("workers", 0),
    ("workers", 65),
    ("reports_open", "yes"),
    ("reports_open", 1),
    ("reports_token", "two words"),
    ("reports_token", "contraseña"),
    ("trusted_proxies", "proxy.example"),
    ("trusted_proxies", "10.0.0.1/8"),
    ("trusted_proxies", "10.0.0.1,"),
    ("trusted_proxies", [1]),
    ("trusted_proxies", {"a": "10.0.0.1"}),
    ("directory_url", "directory.db"),
    ("directory_tenants_query", 1),
    ("log_url", "bucket/log"),
    ("lake_url", "bucket/lake"),
    ("log_url", "s3://key:secret@bucket/log"),
    ("log_url", "https://bucket.example/log"),
    ("log_url", "s3://bucket/../log"),
    ("lake_url", "s3://bucket/lake/."),
    ("throttle_api", "600"),
    ("throttle_api", "0/min burst 1"),
    ("throttle_api", "600/fortnight burst 1"),
    ("throttle_api", "600/min burst 120\n"),
    ("throttle_address", "4MiB/min burst 2MiB"),
    ("throttle_address_bytes", "4MB/min burst 2MB"),
    ("throttle_address_bytes", "4mib/min burst 2mib"),
    ("throttle_tenant_bytes", "4MiB"),
    ("throttle_tenant_bytes", "4MiB/min burst 0"),
    ("segment_bytes_max", 4095),
    ("segment_bytes_max", "64MB"),
    ("segment_bytes_max", "-1MiB"),
    ("segment_bytes_max", 1e6),
    ("segment_bytes_max", "9999999999GiB"),
    ("segment_age_s", 0),
    ("segment_age_s", False),
    ("segment_age_s", "nan"),
    ("segment_age_s", float("nan")),
    ("segment_age_s", float("inf")),
    ("segment_age_s", 10**400),
    ("segment_age_s", "2s"),
    ("segment_grace_s", -1),
    ("occurred_past_max_days", 36501),
    ("log_format", "xml"),
    ("log_level", "INFO"),
    ("log_level", ["info"]),
]


@pytest.mark.parametrize(("key", "value"), BAD)
def test_bad_value_is_refused_by_name_and_never_repeated(key: str, value: object) -> None:
    """A value that does not fit stops the start; the line tells what would fit."""
    line = refusal({key: value})
    where, expected = line.split(": expected ")
    assert where == "flag --" + key.replace("_", "-")
    assert expected


def test_each_source_is_named_as_the_operator_wrote_it(write: WriteFile) -> None:
    """The line names file and key, the variable, or the flag."""
    expected = "expected an integer from 0 to 65535"
    assert refusal({"reports_port": 70000}) == f"flag --reports-port: {expected}"
    assert refusal(environment={"BEACONLOG_PORT": "x"}) == f"environment BEACONLOG_PORT: {expected}"
    write('port = "x"')
    assert refusal() == f"file beaconlog.toml: port: {expected}"


# Unknown keys and files


def test_unknown_key_suggests_the_nearest(write: WriteFile) -> None:
    """A misspelt key is named, with the key that was probably meant, in each source's spelling."""
    assert refusal({"prot": 1}) == "flag --prot: unknown setting, did you mean --port?"
    assert refusal(environment={"BEACONLOG_REPORT_TOKEN": "hush"}) == (
        "environment BEACONLOG_REPORT_TOKEN: unknown setting, did you mean BEACONLOG_REPORTS_TOKEN?"
    )
    assert refusal(environment={"BEACONLOG_port": "1"}) == (
        "environment BEACONLOG_port: unknown setting, did you mean BEACONLOG_PORT?"
    )
    write("segment_age = 3")
    assert refusal() == (
        "file beaconlog.toml: segment_age: unknown setting, did you mean segment_age_s?"
    )


@pytest.mark.parametrize("text", ["zzz = 1", "[zzz]\nport = 1", '"z\\nz" = 1'])
def test_unknown_key_like_no_other_is_refused(write: WriteFile, text: str) -> None:
    """A key that resembles none is refused without a suggestion, on one line."""
    write(text)
    assert refusal().endswith(": unknown setting")


def test_given_file_must_exist(folder: Path) -> None:
    """A file that was asked for, by flag or variable, is not optional."""
    missing = folder / "missing.toml"
    assert refusal(file=missing) == f"file {missing}: cannot be read: No such file or directory"
    assert "cannot be read" in refusal(environment={"BEACONLOG_CONFIG": str(missing)})


def test_folder_in_place_of_the_file_is_refused(folder: Path) -> None:
    """An unreadable file is an error, even if it need not exist."""
    (folder / "beaconlog.toml").mkdir()
    assert refusal() == "file beaconlog.toml: cannot be read: Is a directory"


@pytest.mark.parametrize("content", [b"port =", b"port = 1\nport = 2", b'host = "\xff"'])
def test_broken_toml_is_refused(folder: Path, content: bytes) -> None:
    """A file that is not TOML in UTF-8 is one line that names it."""
    (folder / "beaconlog.toml").write_bytes(content)
    assert refusal().startswith("file beaconlog.toml: not valid TOML: ")


# The private port


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "reports.example"])
def test_private_port_beyond_loopback_needs_a_token(host: str) -> None:
    """Reports are never open to others without a token."""
    assert "reports_host" in refusal({"reports_host": host})
    assert refusal({"reports_host": host}).endswith("needs reports_token")
    assert refusal({"reports_host": host, "reports_token": "x" * 15}).startswith("reports_host")
    assert load({"reports_host": host, "reports_token": "x" * 16}, {}, None).reports_host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3"])
def test_private_port_beyond_loopback_is_never_open(host: str) -> None:
    """Nor is one that has a token."""
    assert "reports_open" in refusal({"reports_host": host, "reports_open": "true"})
    assert "exclude" in refusal({"reports_token": "x" * 16, "reports_open": True})
    assert load({"reports_open": "true"}, {}, None).reports_open is True


def test_a_variable_takes_no_token_away() -> None:
    """An empty one is a variable that somebody forgot to set; so is the settings file's."""
    assert "BEACONLOG_REPORTS_TOKEN" in refusal(environment={"BEACONLOG_REPORTS_TOKEN": ""})
    for text in ("", " "):
        assert "BEACONLOG_CONFIG" in refusal(environment={"BEACONLOG_CONFIG": text})


@pytest.mark.parametrize("key", [one.key for one in describe()])
@pytest.mark.parametrize("text", [" ", "\t", "\n"])
def test_a_blank_value_is_refused(key: str, text: str) -> None:
    """Of every setting."""
    assert key.upper() in refusal(environment={f"BEACONLOG_{key.upper()}": text})


@pytest.mark.parametrize("key", [one.key for one in describe() if one.default not in ('""', "[]")])
def test_an_empty_value_is_refused(key: str) -> None:
    """Of every setting whose default is not empty."""
    assert key.upper() in refusal(environment={f"BEACONLOG_{key.upper()}": ""})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_private_port_on_loopback_needs_none(host: str) -> None:
    """On loopback no token is asked for."""
    assert load({"reports_host": host}, {}, None).reports_token == ""


def test_secrets_are_in_no_repr_and_no_error() -> None:
    """A token, and a database URL with its password, are shown nowhere."""
    settings = from_environment(
        reports_token="hush-1",
        directory_url="mysql://u:hush-2@db/shop",
        throttle_url="valkey://:hush-3@cache",
    )
    assert "hush" not in repr(settings)
    assert "hush" not in refusal({"throttle_url": "http://:hush@cache"})
    assert "hush" not in refusal({"reports_token": "hush hush"})
    assert "hush" not in refusal({"directory_url": "hush"})


# The value itself


def test_directory_defaults_to_a_file_under_data() -> None:
    """Without a URL the directory is SQLite's file in the data folder."""
    assert Settings().directory_url_or_default == "sqlite:///data/directory.db"
    assert Settings(data=Path("/srv")).directory_url_or_default == "sqlite:////srv/directory.db"
    assert Settings(directory_url="mysql://db/shop").directory_url_or_default == "mysql://db/shop"


def test_settings_are_frozen() -> None:
    """Settings never change after the start."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_describe_covers_every_field_with_documentation() -> None:
    """Each field is listed once, in order, with its variable and a sentence."""
    described = describe()
    assert [one.key for one in described] == [one.name for one in dataclasses.fields(Settings)]
    for key, env, _default, doc in described:
        assert env == f"BEACONLOG_{key.upper()}"
        assert doc.endswith(".")


def test_described_defaults_written_to_the_file_are_the_defaults(write: WriteFile) -> None:
    """A default is described as the file takes it, and is itself a valid value."""
    text = "\n".join(f"{one.key} = {one.default}" for one in describe())
    assert tomllib.loads(text)["segment_bytes_max"] == "64MiB"
    write(text)
    assert load({}, {}, None) == Settings()
